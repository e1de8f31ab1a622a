#!/usr/bin/env python3
"""Send CloudTrail records through the function again.

    replay.py STACK                             what is in the stack's dead-letter queue
    replay.py STACK --since TIME --until TIME   what is in the trail's log group from that time

From the queue a batch is deleted only after the function has handled it: one that fails again stays. Batches made
from the log group stay nowhere: give the same times again if one fails. The function knows what it told in the last 30
days, and doesn't tell it again, unless --force is given. The queue's batches keep the alert id that they have had from the
start.

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

# SNS suspends an e-mail subscription that gets more than ten mails a second.
SECONDS_PER_MAIL = 0.125
# What an invocation may have mailed before it failed.
MAILS_OF_A_FAILURE = 2

# What lies in the queue and is no batch, by what it holds, and why nobody needs it.
NEEDLESS = {
    "tick": "a tick, and the next one comes within a minute by itself",
    "ResponseURL": "a request of CloudFormation's, which no longer waits for the answer",
}


class Totals:
    """What came of the batches, one printed line each."""

    def __init__(self):
        self.handled = self.failed = self.damaged = self.dropped = 0
        self.mailed = self.waiting = self.held_back = self.duplicate = 0

    def tell(self, what, answer):
        if answer.report is None:
            self.failed += 1
            self.damaged += answer.error_type == "BatchError"
            mails = MAILS_OF_A_FAILURE
        else:
            self.handled += 1
            self.count(answer.report)
            mails = answer.report.get("mails", 0)
        outcome = "failed" if answer.report is None else "handled"
        print(f"{outcome:7}  {what} {answer}", flush=True)
        time.sleep(SECONDS_PER_MAIL * mails)

    def count(self, report):
        """What became of the records. The mails of an invocation don't tell: it mails what else is due as well."""
        waiting, held_back = report.get("waiting", 0), report.get("held_back", 0)
        self.waiting += waiting
        self.held_back += held_back
        self.mailed += report["matched"] + report["unreadable"] - waiting - held_back
        self.duplicate += report["duplicate"]

    def drop(self, what, why):
        self.dropped += 1
        print(f"dropped  {what} {why}", flush=True)

    def records(self, forced):
        """Whether the records were mailed again, in lines; none where there was no record."""
        if self.mailed:
            yield f"records mailed {self.mailed}"
        if self.waiting:
            yield f"records waiting {self.waiting}: they are stored, and mailed when they are due; make incidents shows when"
        if self.held_back:
            yield f"records held back {self.held_back}: a later mail gives their number"
        if self.duplicate:
            # Even then a batch may hold a record twice.
            again = "" if forced else "; with FORCE=1 they are told again"
            yield f"records duplicate {self.duplicate}: they were told before, and are not told again{again}"


def event_in(body):
    """The event in a message. A dead-letter queue has it bare, an on-failure destination inside its own document."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if isinstance(document, dict) and "awslogs" not in document and "requestPayload" in document:
        return json.dumps(document["requestPayload"])
    return body


def needless(event):
    """Why an event of the queue need not be replayed, if that is so. What brings log events always is."""
    try:
        document = json.loads(event)
    except ValueError:
        return None
    if not isinstance(document, dict) or "awslogs" in document:
        return None
    return next((why for key, why in NEEDLESS.items() if key in document), None)


def with_force(event, force):
    """The event as the function tells it again though it was told before, if that is asked for.

    A delivery is known by its whole text, so each replay has to have a text of its own.
    """
    try:
        document = json.loads(event)
    except ValueError:
        return event
    if force is None or not isinstance(document, dict):
        return event
    return json.dumps(document | {"force": force})


def replay_queue(stack, force):
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
            what = f"in the queue since {when}:"
            event = event_in(message["Body"])
            if why := needless(event):
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=hidden.pop(message["MessageId"]))
                totals.drop(what, why)
                continue
            try:
                answer = stack.invoke(with_force(event, force))
            except stack.lambda_.exceptions.InvalidRequestContentException as error:
                answer = Answer(None, "no event", str(error))
            if answer.report is not None:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=hidden.pop(message["MessageId"]))
            totals.tell(what, answer)
    finally:
        # What is left can be seen again at once, by the alarm too.
        for receipt in hidden.values():
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
    dropped = f", {totals.dropped} dropped" if totals.dropped else ""
    print(f"{totals.handled} handled and deleted, {totals.failed} left in the queue{dropped}")
    if totals.damaged:
        print(
            f"{totals.damaged} of these can't be read and will fail every time; what could be read of them was mailed. To"
            f" delete them, once nothing else is in the queue: aws sqs purge-queue --queue-url {queue}"
        )
    return totals


def replay_log_group(stack, since, until, pattern, force):
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
            totals.tell(what, stack.invoke(with_force(event, force)))
    again = "; the same times again send all of them again, and what was told stays told" if totals.failed else ""
    print(f"{totals.handled} batches handled, {totals.failed} failed{again}")
    return totals


def subscription_pattern(parameters):
    """The pattern that the template gives the subscription, as long as nobody edits it there.

    Not read from the subscription itself: that may be what somebody has deleted or narrowed.
    """
    if parameters["Rules"] != "root-usage" or parameters["ExtraRulePattern"]:
        return ""
    patterns = {rule["id"]: rule["pattern"] for rule in json.loads(RULES.read_text())}
    path_test = patterns["path-test"].removeprefix("{ ").removesuffix(" }")
    return f"{patterns['root-usage'].removesuffix(' }')} || {ASSUME_ROOT} || ({path_test}) }}"


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
    parser.add_argument("--force", action="store_true", help="have what was told before told again")
    arguments = parser.parse_args()
    since, until = arguments.since, arguments.until
    if since is None and (until is not None or arguments.pattern is not None):
        parser.error("--until and --pattern need --since")

    force = datetime.datetime.now(datetime.UTC).isoformat() if arguments.force else None
    with one_line_errors():
        stack = Stack(arguments.stack)
        if since is None:
            totals = replay_queue(stack, force)
        else:
            until = until if until is not None else int(time.time() * 1000)
            if until < since:
                raise Failure("--until is before --since")
            totals = replay_log_group(stack, since, until, arguments.pattern, force)
        for line in totals.records(arguments.force):
            print(line)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
