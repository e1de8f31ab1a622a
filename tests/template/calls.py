"""The table of calls in calls.tsv as the events that EventBridge gets, and the rules that watch for them.

A row has the rule that tells of the call, or `-`; the stack for which that is so: with its own trail (new), with a trail
that exists, or any; the service, the call as CloudTrail names it, and its parameters.
"""

import csv
import dataclasses
import json
import pathlib

from expansion import PSEUDO, expand

TABLE = pathlib.Path(__file__).with_name("calls.tsv")
STACKS = {"existing": {}, "new": {"CreateTrail": "true", "CloudTrailLogGroupName": ""}}


@dataclasses.dataclass(frozen=True)
class Call:
    rule: str | None
    stack: str
    service: str
    name: str
    parameters: str

    def event(self, **detail):
        """The event of this call; a field that is given as None is left out."""
        fields = {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": "AIDACKCEVSQ6C2EXAMPLE",
                "arn": f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:user/mallory",
                "accountId": PSEUDO["AWS::AccountId"],
                "userName": "mallory",
            },
            "eventTime": "2026-11-26T03:00:00Z",
            "eventSource": f"{self.service}.amazonaws.com",
            "eventName": self.name,
            "awsRegion": PSEUDO["AWS::Region"],
            "sourceIPAddress": "203.0.113.24",
            "userAgent": "aws-cli/2.31.0",
            "requestParameters": json.loads(self.parameters),
            "responseElements": None,
            "requestID": "6f9c1a52-8a0a-4d5e-9d9e-8f1f2c3d4e5f",
            "eventID": "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9",
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": PSEUDO["AWS::AccountId"],
            "eventCategory": "Management",
        }
        fields.update(detail)
        return {
            "version": "0",
            "id": "9d8c7b6a-5f4e-4d3c-8b2a-1f0e9d8c7b6a",
            "detail-type": "AWS API Call via CloudTrail",
            "source": f"aws.{self.service}",
            "account": PSEUDO["AWS::AccountId"],
            "time": "2026-11-26T03:00:04Z",
            "region": PSEUDO["AWS::Region"],
            "resources": [],
            "detail": {name: value for name, value in fields.items() if value is not None or name == "responseElements"},
        }


def watching(resources):
    """The rules that watch, by their names in the template."""
    return {
        name: one["Properties"]
        for name, one in resources.items()
        if one["Type"] == "AWS::Events::Rule" and "EventPattern" in one["Properties"]
    }


def calls(stack):
    """What the table says of one of the two stacks."""
    group = expand(**STACKS[stack])["Resources"]["Subscription"]["Properties"]["LogGroupName"]
    with TABLE.open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))
    return [
        Call(
            row["rule"] if row["rule"] != "-" else None,
            stack,
            row["service"],
            row["call"],
            row["parameters"].replace("LOGGROUP", group),
        )
        for row in rows
        if row["stack"] in ("any", stack)
    ]
