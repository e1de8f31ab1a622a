#!/usr/bin/env python3
"""Send CloudTrail records through the function again.

    replay.py STACK                             what is in the stack's dead-letter queue
    replay.py STACK --since TIME --until TIME   what is in the trail's log group from that time

From the queue a batch is deleted only after the function has handled it: one that fails again stays. Batches made
from the log group stay nowhere: give the same times again if one fails. Whatever is sent twice is mailed twice, unless
the function remembers it: the queue's batches under the alert id that they have had from the start.

Exit code 1 if a batch failed, 2 if AWS refused what is needed: cloudformation:DescribeStacks,
lambda:InvokeFunction, sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility, logs:FilterLogEvents.
"""

import argparse
import base64
import datetime
import gzip
import json
import sys
import time
from pathlib import Path

from stack import Answer, Failure, Stack, one_line_errors, printable

RULES = Path(__file__).resolve().parents[1] / "rules.json"
# What the template's subscription passes besides the default rule's records.
ASSUME_ROOT = '($.eventName = "AssumeRoot")'

# Longer than any invocation takes, its retries included; nobody else gets the batch meanwhile.
HIDDEN_SECONDS = 900
# SQS answers a long poll from all of its servers; a short one may miss a message.
# Source: SQS Developer Guide, "Amazon SQS short and long polling".
POLL_SECONDS = 5

# CloudWatch Logs itself sends at most this much to a function, compressed and in base64.
EVENT_BYTES = 1_000_000
# Of messages in memory, and so in one batch: under the smallest MAX_BATCH_BYTES that can be set, 1 MiB.
BATCH_BYTES = 800_000

# SNS suspends an e-mail subscription that gets more than ten mails a second; an invocation makes two at most.
MAIL_PAUSE_SECONDS = 0.25


class Totals:
    """What came of the batches, one printed line each."""

    def __init__(self):
        self.handled = self.failed = self.damaged = 0

    def tell(self, what, answer):
        if answer.report is None:
            self.failed += 1
            self.damaged += answer.error_type == "BatchError"
        else:
            self.handled += 1
        outcome = "failed" if answer.report is None else "handled"
        print(f"{outcome:7}  {what} {answer}", flush=True)
        if answer.report is None or answer.report.get("mails"):
            time.sleep(MAIL_PAUSE_SECONDS)


def event_in(body):
    """The event in a message. A dead-letter queue has it bare, an on-failure destination inside its own document."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if isinstance(document, dict) and "awslogs" not in document and "requestPayload" in document:
        return json.dumps(document["requestPayload"])
    return body


def replay_queue(stack):
    """Empty the queue as far as the function lets it."""
    sqs = stack.client("sqs")
    queue = stack.output("DeadLetterQueueUrl")
    totals, hidden = Totals(), {}
    try:
        while True:
            found = sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=1,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=POLL_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
            ).get("Messages", [])
            if not found:
                break
            (message,) = found
            known = message["MessageId"] in hidden
            hidden[message["MessageId"]] = message["ReceiptHandle"]
            if known:
                continue
            when = utc(int(message["Attributes"]["SentTimestamp"]))
            try:
                answer = stack.invoke(event_in(message["Body"]))
            except stack.lambda_.exceptions.InvalidRequestContentException as error:
                answer = Answer(None, "no event", str(error))
            if answer.report is not None:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=hidden.pop(message["MessageId"]))
            totals.tell(f"in the queue since {when}:", answer)
    finally:
        # What is left can be seen again at once, by the alarm too.
        for receipt in hidden.values():
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
    print(f"{totals.handled} handled and deleted, {totals.failed} left in the queue")
    if totals.damaged:
        print(
            f"{totals.damaged} of these can't be read and will fail every time; what could be read of them was mailed. To"
            f" delete them, once nothing else is in the queue: aws sqs purge-queue --queue-url {queue}"
        )
    return totals


def replay_log_group(stack, since, until, pattern):
    """Send what the log group has of that time."""
    group = stack.output("TrailLogGroupName")
    if pattern is None:
        pattern = subscription_pattern(stack.parameters)
    print(f"{group}, {utc(since)} to {utc(until)}, {pattern or 'every record'}", flush=True)
    pages = stack.client("logs").get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since, endTime=until, **({"filterPattern": pattern} if pattern else {})
    )
    found = (log_event for page in pages for log_event in page["events"])
    totals = Totals()
    for stream, log_events in batches(found):
        for event, part in events(stack.account, group, stream, stack.name, log_events):
            times = [log_event["timestamp"] for log_event in part]
            what = f"{utc(min(times))} to {utc(max(times))}, {len(part)} of {printable(stream)}:"
            totals.tell(what, stack.invoke(event))
    again = "; the same times again send all of them again" if totals.failed else ""
    print(f"{totals.handled} batches handled, {totals.failed} failed{again}")
    return totals


def subscription_pattern(parameters):
    """The pattern that the template gives the subscription, as long as nobody edits it there.

    Not read from the subscription itself: that may be what somebody has deleted or narrowed.
    """
    if parameters["Rules"] != "root-usage" or parameters["ExtraRulePattern"]:
        return ""
    rule = next(rule["pattern"] for rule in json.loads(RULES.read_text()) if rule["id"] == "root-usage")
    return f"{rule.removesuffix(' }')} || {ASSUME_ROOT} }}"


def batches(found):
    """The log events by log stream, as a subscription has them; few enough wait that memory stays bounded."""
    waiting, size = {}, 0
    for log_event in found:
        waiting.setdefault(log_event["logStreamName"], []).append(log_event)
        size += len(log_event["message"].encode())
        if size >= BATCH_BYTES:
            yield from waiting.items()
            waiting, size = {}, 0
    yield from waiting.items()


def events(owner, group, stream, name, log_events):
    """Subscription events with all of the log events, each with those that it has."""
    data = {
        "messageType": "DATA_MESSAGE",
        "owner": owner,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [name],
        "logEvents": [
            {"id": one["eventId"], "timestamp": one["timestamp"], "message": one["message"]} for one in log_events
        ],
    }
    compressed = gzip.compress(json.dumps(data, ensure_ascii=False).encode())
    event = json.dumps({"awslogs": {"data": base64.b64encode(compressed).decode()}})
    half = len(log_events) // 2
    if len(event) > EVENT_BYTES and half:
        yield from events(owner, group, stream, name, log_events[:half])
        yield from events(owner, group, stream, name, log_events[half:])
    else:
        yield event, log_events


def moment(text):
    """Milliseconds since 1970 of a time in ISO 8601, in UTC where it says nothing else."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-11-20T02:30 or 2026-11-20T11:30+09:00")
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return int(time.timestamp() * 1000)


def utc(milliseconds):
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def main():
    """The exit code."""
    parser = argparse.ArgumentParser(description="Send CloudTrail records through the function again.")
    parser.add_argument("stack", help="the stack's name")
    parser.add_argument("--since", type=moment, metavar="TIME", help="read the trail's log group from this time on, not the queue")
    parser.add_argument("--until", type=moment, metavar="TIME", help="read it up to this time; by default, until now")
    parser.add_argument("--pattern", help="which records to read; by default, those that the template subscribes to")
    arguments = parser.parse_args()
    since, until = arguments.since, arguments.until
    if since is None and (until is not None or arguments.pattern is not None):
        parser.error("--until and --pattern need --since")

    with one_line_errors():
        stack = Stack(arguments.stack)
        if since is None:
            totals = replay_queue(stack)
        else:
            until = until if until is not None else int(time.time() * 1000)
            if until < since:
                raise Failure("--until is before --since")
            totals = replay_log_group(stack, since, until, arguments.pattern)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
