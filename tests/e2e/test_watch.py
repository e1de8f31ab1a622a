"""The rules that tell who changes the stack, in an EventBridge that somebody else wrote.

Nobody outside AWS can send an event whose source begins with "aws.", in the emulator neither. So the shipped patterns are
put to TestEventPattern, and what is sent goes through the same rule for a source that anyone may use.
"""

import json
import sys

import pytest

from conftest import ROOT, wait_for

sys.path.insert(0, str(ROOT / "tests" / "template"))
from calls import STACKS, calls, watching  # noqa: E402
from expansion import expand  # noqa: E402


@pytest.mark.parametrize("stack", STACKS)
def test_the_emulator_matches_each_call_as_the_table_says(emulator, stack):
    events = emulator.client("events")
    rules = watching(expand(**STACKS[stack])["Resources"])
    wrong = []
    for call in calls(stack):
        event = json.dumps(call.event())
        for name, rule in rules.items():
            # A call is only put to the rules of its service: the rest can't match, by their first line.
            if f'"{call.service}.amazonaws.com"' not in json.dumps(rule["EventPattern"]):
                continue
            found = events.test_event_pattern(EventPattern=json.dumps(rule["EventPattern"]), Event=event)["Result"]
            if found != (name == call.rule):
                wrong.append((name, call.name, call.parameters))
    assert wrong == []


# One of each kind that takes the watch down.
ATTACKS = (
    "DeleteSubscriptionFilter",
    "DeleteMetricFilter",
    "PutRetentionPolicy",
    "DeleteLogGroup",
    "PutAccountPolicy",
    "PutTransformer",
    "UpdateFunctionCode20150331v2",
    "UpdateFunctionConfiguration20150331v2",
    "PutFunctionConcurrency20171031",
    "RemovePermission20150331v2",
    "DeleteFunction20150331",
    "DeleteTopic",
    "Unsubscribe",
    "SetTopicAttributes",
    "PurgeQueue",
    "DeleteTable",
    "DeleteAlarms",
    "DisableAlarmActions",
    "SetAlarmState",
    "PutAlarmMuteRule",
    "DisableRule",
    "RemoveTargets",
    "DeleteStack",
    "StopLogging",
    "DeleteTrail",
    "UpdateTrail",
    "PutEventSelectors",
)


def test_each_attack_arrives_at_the_operations_topic_as_a_sentence(emulator, table):
    events, sns, sqs = (emulator.client(service) for service in ("events", "sns", "sqs"))
    topic = sns.create_topic(Name="watched-operations")["TopicArn"]
    queue = sqs.create_queue(QueueName="watched-operations")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    for name, rule in watching(expand()["Resources"]).items():
        pattern = json.dumps({**rule["EventPattern"], "source": ["made-up"]})
        events.put_rule(Name=f"watched-{name}", EventPattern=pattern, State=rule["State"])
        events.put_targets(Rule=f"watched-{name}", Targets=[{**rule["Targets"][0], "Arn": topic}])

    rows = calls("existing")
    attacks = [next(one for one in rows if one.name == name and one.rule) for name in ATTACKS]
    (other,) = [one for one in rows if one.name == "DescribeSubscriptionFilters"]
    # What must not arrive comes first: it would be there by the time the others are.
    sent = [other.event(), attacks[0].event(sourceIPAddress="cloudformation.amazonaws.com")]
    sent += [one.event(eventID=f"0a1b2c3d-4e5f-4071-8293-{number:012}") for number, one in enumerate(attacks)]
    for event in sent:
        entry = {"Source": "made-up", "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    received = []

    def arrived():
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        received.extend(one["Body"].strip('"') for one in found)
        return len(received) >= len(attacks)

    wait_for("the sentences", arrived, 60)
    assert len(received) == len(attacks)
    for number, one in enumerate(attacks):
        (text,) = [text for text in received if f"event ID 0a1b2c3d-4e5f-4071-8293-{number:012}" in text]
        assert text.startswith(
            f"root-usage-alert: arn:aws:iam::111122223333:user/mallory (IAMUser) called {one.name} "
            f"({one.service}.amazonaws.com) from 203.0.113.24 at 2026-11-26T03:00:00Z in eu-central-1, account "
        )
        assert "<" not in text
        table("Attacks on the watch, and what arrived", f"{one.name}: a mail that names who, {text.split(', which ')[1].split(';')[0]}")
