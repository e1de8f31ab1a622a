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


def test_a_call_on_the_stack_arrives_at_the_operations_topic_as_a_sentence(emulator):
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
    (told,) = [one for one in rows if one.name == "DeleteSubscriptionFilter" and one.rule]
    (other,) = [one for one in rows if one.name == "DescribeSubscriptionFilters"]
    entries = [
        {"Source": "made-up", "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        # What must not arrive comes first: it would be there by the time the other one is.
        for event in (other.event(), told.event(sourceIPAddress="cloudformation.amazonaws.com"), told.event())
    ]
    assert events.put_events(Entries=entries)["FailedEntryCount"] == 0

    received = []

    def arrived():
        received.extend(one["Body"] for one in sqs.receive_message(QueueUrl=queue).get("Messages", []))
        return received

    wait_for("the sentence", arrived, 30)
    (text,) = received
    assert text.strip('"').startswith(
        "root-usage-alert: arn:aws:iam::111122223333:user/mallory (IAMUser) called DeleteSubscriptionFilter "
        "(logs.amazonaws.com) from 203.0.113.24 at 2026-11-26T03:00:00Z in eu-central-1, account "
    )
    assert "<" not in text
