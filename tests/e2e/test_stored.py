"""What is stored when the stack is deleted, and what is open while it runs.

The stack is deployed as it ships. The emulator invokes the function for CloudFormation's custom resource, and gives it one try
where Lambda gives it three.
"""

import json
import re
import uuid

import pytest

from conftest import DELIVERY_SECONDS, environment, run, wait_for
from test_deployed import (  # noqa: F401 (fixtures)
    EVERY_RECORD,
    TRAIL_LOG_GROUP,
    Inbox,
    Sam,
    messages,
    recipe,
    sam,
    trail,
)

WAITING = {"KeyConditionExpression": "pk = :waiting", "ExpressionAttributeValues": {":waiting": {"S": "P"}}}


def parameters(name):
    # Nothing answers look-ups here.
    return {
        **EVERY_RECORD,
        "NotificationEmail": "",
        "Recipe": recipe(name),
        "CloudTrailLogGroupName": TRAIL_LOG_GROUP,
        "Settings": "HISTORY_MINUTES=0",
    }


def deed(**fields):
    found = json.loads(messages("create-access-key")[-1])
    return found | {"eventID": str(uuid.uuid4()), "responseElements": None} | fields


def read():
    return deed(eventName="ListBuckets", eventSource="s3.amazonaws.com", readOnly=True, requestParameters=None)


class Table:
    """The stack's table, which outlives it."""

    def __init__(self, emulator, stack):
        self.client = emulator.client("dynamodb")
        outputs = emulator.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]["Outputs"]
        (self.name,) = [one["OutputValue"] for one in outputs if one["OutputKey"] == "LedgerTableName"]

    def items(self):
        return self.client.scan(TableName=self.name, ConsistentRead=True)["Items"]

    def waiting(self):
        """As docs/incidents.md has it counted."""
        return self.client.query(TableName=self.name, Select="COUNT", **WAITING)["Count"]

    def delete(self):
        self.client.delete_table(TableName=self.name)


@pytest.fixture
def stored(emulator, trail):  # noqa: F811
    """Has an incident told, and then something stored that waits: its record's id."""

    def store(stack, inbox, table):
        first, waits = deed(), read()
        trail([json.dumps(first)])
        assert first["eventID"] in wait_for("the first mail", inbox.take, DELIVERY_SECONDS)["Message"]
        trail([json.dumps(waits)])
        wait_for("the read to be stored", lambda: table.waiting() == 1, DELIVERY_SECONDS)
        assert inbox.take() is None
        return waits["eventID"]

    return store


def make_incidents(emulator, scratch, name):
    env = environment(scratch, AWS_ENDPOINT_URL=emulator.url)
    return run(["make", "--no-print-directory", "incidents", f"STACK={name}"], env, check=False)


def test_what_is_open_is_listed_and_what_is_stored_is_mailed_before_the_stack_goes(sam, emulator, stored, tmp_path):  # noqa: F811
    name = "stored"
    with sam.deployed(name, **parameters(name)) as stack:
        table, inbox = Table(emulator, stack), Inbox(emulator, stack.topic, "inbox-stored")

        done = make_incidents(emulator, tmp_path, name)
        assert (done.returncode, done.stdout) == (0, "No incident is open, and nothing waits for a mail.\n"), done.stderr

        record = stored(stack, inbox, table)
        done = make_incidents(emulator, tmp_path, name)
        assert done.returncode == 0, done.stderr
        time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z"
        line = rf"[0-9A-F]{{4}}  root/111122223333, since {time}, last {time}, mails 1, deliveries that wait 1, the first until {time}\n"
        assert re.fullmatch(line, done.stdout), done.stdout

    mails = list(iter(inbox.take, None))
    assert sum(record in mail["Message"] for mail in mails) == 1
    # What finds duplicates stays until it expires, and nothing else.
    items = table.items()
    assert items and all("expires" in item for item in items), items
    assert table.waiting() == 0
    table.delete()


def test_where_nothing_can_be_mailed_the_stack_stays_or_goes_without_losing_what_is_stored(
    emulator, built_template, stored, tmp_path
):
    name = "unsendable"
    # CloudFormation's patience is five minutes: here as long as one try takes.
    impatient = built_template.with_name("impatient.yaml")
    text = built_template.read_text()
    assert text.count("ServiceTimeout: 300") == 1
    impatient.write_text(text.replace("ServiceTimeout: 300", "ServiceTimeout: 2"))
    cloudformation, functions = emulator.client("cloudformation"), emulator.client("lambda")
    with Sam(emulator, impatient, tmp_path).deployed(name, **parameters(name)) as stack:
        table, inbox = Table(emulator, stack), Inbox(emulator, stack.topic, "inbox-unsendable")
        stored(stack, inbox, table)
        variables = functions.get_function_configuration(FunctionName=stack.function)["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=stack.function,
            Environment={"Variables": variables | {"ALERT_TOPIC_ARN": f"{stack.topic}-gone"}},
        )

        def state():
            return cloudformation.describe_stacks(StackName=name)["Stacks"][0]

        cloudformation.delete_stack(StackName=name)
        wait_for("the deletion to fail", lambda: state()["StackStatus"] == "DELETE_FAILED", DELIVERY_SECONDS)
        assert "WhatIsStored" in state()["StackStatusReason"]
        assert table.waiting() >= 1

        # A person who has read what that means.
        cloudformation.delete_stack(StackName=name, RetainResources=["WhatIsStored"])
        listed = lambda: cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]  # noqa: E731
        wait_for("the stack to go", lambda: name in [one["StackName"] for one in listed()], DELIVERY_SECONDS)

    assert inbox.take() is None
    assert table.waiting() >= 1
    # The delivery as it arrived is there too.
    assert any(item["pk"]["S"].startswith("R#") for item in table.items())
    table.delete()
