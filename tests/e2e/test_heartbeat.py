"""The hourly look with the emulator's topic and log group; CloudTrail's event history is a stand-in's."""

import json
import time

import pytest

from conftest import REGION
from test_function import TAKEN, binary, function  # noqa: F401 (binary is a fixture)
from test_history import answer, cloudtrail, refusal

GROUP = "looked-at-each-hour"


def heartbeat(group=GROUP):
    return json.dumps({"heartbeat": {"logGroup": group}})



def own_call(event_id, minutes_ago):
    """CloudTrail's record of a call of the function's."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes_ago))
    arn = "arn:aws:sts::111122223333:assumed-role/alerts/f"
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": arn, "accountId": "111122223333"},
        "eventTime": at,
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "LookupEvents",
        "awsRegion": REGION,
        "eventID": event_id,
        "readOnly": True,
    }


ID = "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"
OWN = own_call(ID, 60)
# What somebody writes who wants the log group to look alive: all but the id is right.
FORGED = {**OWN, "eventID": "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f0"}
PLAIN = {"message": f"still alive: {ID}"}


def knows(*records):
    """A history that has these of the function's calls, and says nothing to other questions."""

    def behave(handler, body):
        (attribute,) = body["LookupAttributes"]
        ours = attribute == {"AttributeKey": "Username", "AttributeValue": "f"}
        assert body["EndTime"] <= time.time() - 29 * 60
        handler.reply(200, answer(records if ours else []))

    return behave


# What was done, the history, what the log group holds, its name, confirmed readers; unheard, without readers.
ROWS = [
    ("nothing is wrong", knows(OWN), [PLAIN, OWN], GROUP, 1, 0, 0),
    ("the trail is stopped", knows(OWN), [], GROUP, 1, 1, 0),
    ("the trail is stopped, and lines are put there", knows(OWN), [PLAIN, FORGED], GROUP, 1, 1, 0),
    ("the log group is deleted", knows(OWN), [], GROUP + "-that-is-gone", 1, 1, 0),
    ("the history knows of no heartbeat", knows(), [PLAIN, OWN], GROUP, 1, 1, 0),
    ("every reader is removed", knows(OWN), [OWN], GROUP, 0, 0, 1),
    ("the topic is deleted", knows(OWN), [OWN], GROUP, None, 0, 1),
    ("the role may not look up", refusal("AccessDeniedException"), [OWN], GROUP, 1, 1, 0),
    ("others take all the look-ups there are", refusal("ThrottlingException"), [OWN], GROUP, 1, 1, 0),
]


@pytest.mark.parametrize("what, history, lines, group, readers, unheard, without_readers", ROWS, ids=[row[0] for row in ROWS])
def test_the_hourly_look(what, history, lines, group, readers, unheard, without_readers, binary, emulator, tmp_path, table):
    logs, sns, sqs = (emulator.client(service) for service in ("logs", "sns", "sqs"))
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="stream")
    topic = sns.create_topic(Name="read-by")["TopicArn"]
    # Asked for and not confirmed: nobody's yet.
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:9/nobody")
    queue = sqs.create_queue(QueueName="a-reader")["QueueUrl"]
    try:
        now = int(time.time() * 1000)
        if lines:
            events = [{"timestamp": now - 3_500_000, "message": json.dumps(line)} for line in lines]
            logs.put_log_events(logGroupName=GROUP, logStreamName="stream", logEvents=events)
        if readers:
            arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        if readers is None:
            sns.delete_topic(TopicArn=topic)
        settings = {
            "ALERT_TOPIC_ARN": topic,
            "AWS_ENDPOINT_URL_SNS": emulator.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": emulator.url,
        }
        with cloudtrail(history) as (server, url), function(
            binary, tmp_path, [TAKEN], AWS_ENDPOINT_URL_CLOUDTRAIL=url, **settings
        ) as stub:
            kind, report = stub.invoke(heartbeat(group))
            found = (kind, report["unheard"], report["without_readers"], report["mails"])
            assert found == ("response", unheard, without_readers, 0), stub.log()
            assert server.requests
            # A metric costs money for each hour that has a value.
            metrics = [json.loads(line) for line in stub.log().splitlines() if '"_aws"' in line]
            wrong = bool(unheard or without_readers)
            assert len(metrics) == wrong
            if wrong:
                (directive,) = metrics[0]["_aws"]["CloudWatchMetrics"]
                named = {one["Name"] for one in directive["Metrics"]} & {"Unheard", "WithoutReaders"}
                assert named == {name for name, is_so in (("Unheard", unheard), ("WithoutReaders", without_readers)) if is_so}
            alarms = [name for name, is_so in (("deaf", unheard), ("unread", without_readers)) if is_so]
        table("The hourly look: what was done, and which alarm it feeds", f"{what}: {', '.join(alarms) or 'none'}")
    finally:
        logs.delete_log_group(logGroupName=GROUP)
        sqs.delete_queue(QueueUrl=queue)
        if readers is not None:
            sns.delete_topic(TopicArn=topic)


def test_a_page_that_is_empty_is_not_the_last(binary, tmp_path):
    """CloudWatch Logs answers with what it has searched, also where that is nothing yet."""
    pages = [{"events": [], "nextToken": "2"}, {"events": [], "nextToken": "3"}, {"events": [{"message": json.dumps(OWN)}]}]

    def behave(handler, body):
        if "LookupAttributes" in body:
            return handler.reply(200, answer([OWN]))
        handler.reply(200, json.dumps(pages[int(body.get("nextToken", 1)) - 1]))

    with cloudtrail(behave) as (server, url), function(
        binary,
        tmp_path,
        [(200, "<GetTopicAttributesResponse><GetTopicAttributesResult/></GetTopicAttributesResponse>")],
        AWS_ENDPOINT_URL_CLOUDTRAIL=url,
        AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=url,
    ) as stub:
        kind, report = stub.invoke(heartbeat())
        assert (kind, report["unheard"], report["without_readers"]) == ("response", 0, 0), stub.log()
        asked = [body for _, target, _, body in server.requests if target.endswith("FilterLogEvents")]
        assert [body.get("nextToken") for body in asked] == [None, "2", "3"]
        assert {(body["logGroupName"], body["filterPattern"]) for body in asked} == {(GROUP, f'{{ $.eventID = "{ID}" }}')}
