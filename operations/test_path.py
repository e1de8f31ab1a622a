#!/usr/bin/env python3
"""Show that the whole way works, from CloudTrail to the mail: make a harmless call, marked, and follow its record.

    test_path.py STACK [--seconds 900]

The call is sts:GetCallerIdentity, which nobody needs a permission for. Its user agent is the mark, and the stack's rule
path-test in rules.json looks for it: the function mails it as a test. Prints the seconds that each leg took.

Exit code 1 if the record did not arrive somewhere, with what to check; 2 if AWS refused what is needed:
cloudformation:DescribeStacks, logs:FilterLogEvents on the trail's log group and the function's. Where the record stops, also
cloudtrail:DescribeTrails, cloudtrail:GetTrailStatus, cloudtrail:GetEventSelectors, logs:DescribeSubscriptionFilters, for the
reason.
"""

import argparse
import datetime
import json
import re
import secrets
import string
import sys
import time
from pathlib import Path

from botocore.config import Config
from botocore.exceptions import ClientError

from stack import CONFIG, Failure, Stack, one_line_errors, printable

RULES = Path(__file__).resolve().parents[1] / "rules.json"
# As many as the function shows.
LETTERS = 12
# Source: CloudTrail User Guide, "How CloudTrail works": within about 5 minutes on average. Not promised.
TRAIL_SECONDS = 900
# CloudWatch Logs sends within seconds, as a rule, and Lambda tries three times with pauses of one and two minutes.
FUNCTION_SECONDS = 420
POLL_SECONDS = 2


class Stopped(Exception):
    """Where the record stopped, and what to check there."""


def mark():
    """A user agent that the stack's rule looks for, and that nobody has used before."""
    (pattern,) = [rule["pattern"] for rule in json.loads(RULES.read_text()) if rule["id"] == "path-test"]
    (begin,) = re.findall(r'\$\.userAgent = "([^"*]+)\*"', pattern)
    return begin + "".join(secrets.choice(string.ascii_lowercase) for _ in range(LETTERS))


def call(stack, marker):
    """Makes the call, in the stack's Region: who made it."""
    sts = stack.session.client("sts", config=CONFIG.merge(Config(user_agent=marker)))
    arn = sts.get_caller_identity()["Arn"]
    if arn.endswith(":root"):
        raise Failure("these are root's credentials: what root does is told as root's, and is no test. Use others")
    return arn


def found(stack, group, text, since):
    """The log events of a log group that have this text."""
    pages = stack.client("logs").get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=since, filterPattern=f'"{text}"'
    )
    return [one for page in pages for one in page["events"] if text in one["message"]]


def wait_for(probe, seconds):
    """What the probe finds, or nothing if it finds nothing in that time."""
    deadline = time.monotonic() + seconds
    while True:
        if (answer := probe()) is not None or time.monotonic() > deadline:
            return answer
        time.sleep(POLL_SECONDS)


def documents(log_events):
    """What of the log events is JSON, each with its log event."""
    for one in log_events:
        try:
            document = json.loads(one["message"])
        except ValueError:
            continue
        if isinstance(document, dict):
            yield one, document


def asked(question):
    """The answer, or the error in its place: a reason that can't be found is no reason to fail."""
    try:
        return question()
    except ClientError as error:
        return error


def reasons_of_the_trail(stack, group):
    """Why CloudTrail's record may not be in the log group."""
    cloudtrail = stack.client("cloudtrail")
    trails = asked(lambda: cloudtrail.describe_trails(includeShadowTrails=True)["trailList"])
    if isinstance(trails, ClientError):
        yield f"which trails there are could not be read: {trails}"
        return
    # arn:PARTITION:logs:REGION:ACCOUNT:log-group:NAME:*
    writing = [one for one in trails if one.get("CloudWatchLogsLogGroupArn", "").split(":")[6:7] == [group]]
    if not writing:
        yield f"no trail that this account can see writes to {group}: it is gone, or another account's"
    for trail in writing:
        status = asked(lambda: cloudtrail.get_trail_status(Name=trail["TrailARN"]))
        if isinstance(status, ClientError):
            yield f"the state of the trail {trail['Name']} could not be read: {status}"
        elif not status.get("IsLogging"):
            yield f"the trail {trail['Name']} is stopped: aws cloudtrail start-logging --name {trail['TrailARN']}"
        elif error := status.get("LatestCloudWatchLogsDeliveryError"):
            yield f"the trail {trail['Name']} can't write to the log group: {error}"
        if not trail.get("IsMultiRegionTrail") and trail.get("HomeRegion") != stack.session.region_name:
            yield f"the trail {trail['Name']} records another Region only"
        selectors = asked(lambda: cloudtrail.get_event_selectors(TrailName=trail["TrailARN"]))
        if isinstance(selectors, ClientError):
            yield f"what the trail {trail['Name']} records could not be read: {selectors}"
        elif (basic := selectors.get("EventSelectors")) and not any(
            one.get("IncludeManagementEvents") and one.get("ReadWriteType") != "WriteOnly" for one in basic
        ):
            yield f"the trail {trail['Name']} records no read events, and this call is one"
        elif selectors.get("AdvancedEventSelectors"):
            yield f"the trail {trail['Name']} has advanced event selectors: see whether they take read events of STS"


def reasons_of_the_function(stack, group, since):
    """Why a record that is in the log group may not have reached the function."""
    filters = asked(lambda: stack.client("logs").describe_subscription_filters(logGroupName=group)["subscriptionFilters"])
    if isinstance(filters, ClientError):
        yield f"the subscription could not be read: {filters}"
    elif not any(one["filterName"] == stack.name for one in filters):
        yield f"the log group {group} has no subscription filter {stack.name}: it was deleted. Deploy the stack again"
    function = stack.output("FunctionName")
    for _, line in documents(found(stack, f"/aws/lambda/{function}", "ERROR", since)):
        if line.get("level") == "ERROR" and line.get("error"):
            yield f"the function failed: {line['error']}"
            break
    yield (
        f"the pattern of the subscription filter {stack.name} may have been narrowed or edited: compare it with template.yaml,"
        " and deploy a version of the stack that has the rule path-test"
    )
    if stack.parameters.get("Rules") != "root-usage" or stack.parameters.get("ExtraRulePattern"):
        yield "a rule of yours may match the call (Rules, ExtraRulePattern): then it was told as an alert, and the way works"


def moment(text):
    """Milliseconds since 1970."""
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def follow(stack, seconds):
    """Makes the call and follows its record; prints each leg."""
    group, function = stack.output("TrailLogGroupName"), stack.output("FunctionName")
    marker = mark()
    # Clocks differ.
    since = int((time.time() - 60) * 1000)
    who = call(stack, marker)
    print(f"    0 s  {printable(who)} called sts:GetCallerIdentity, marked {marker}", flush=True)
    print(f"         waiting for its record in {group}: some minutes, {seconds // 60 or 1} at most", flush=True)

    def record():
        return next(documents(found(stack, group, marker, since)), None)

    arrived = wait_for(record, seconds)
    if arrived is None:
        raise Stopped(f"the record did not reach the log group {group} in {seconds} s", reasons_of_the_trail(stack, group))
    log_event, fields = arrived
    called = moment(fields["eventTime"])
    written = log_event["ingestionTime"]
    print(f"{(written - called) // 1000:5} s  CloudTrail wrote it to {group}", flush=True)

    def closing():
        lines = documents(found(stack, f"/aws/lambda/{function}", marker, since))
        told = ((one, line, test) for one, line in lines for test in line.get("pathTests", []) if test["marker"] == marker)
        # Lambda may have tried more than once, and CloudTrail written it twice: what counts is the mail.
        return max(told, key=lambda one: "messageId" in one[2], default=None)

    handled = wait_for(closing, min(FUNCTION_SECONDS, seconds))
    if handled is None:
        reasons = reasons_of_the_function(stack, group, since)
        raise Stopped(f"the function {function} did not mail it in time", reasons)
    log_event, line, test = handled
    print(
        f"{(log_event['timestamp'] - called) // 1000:5} s  the function {function} handled it in {line['Duration'] / 1000:.1f} s,"
        f" {max(0, log_event['timestamp'] - written) // 1000} s after it was written; request id {line['requestId']}"
    )
    if "messageId" not in test:
        again = "another one was mailed less than 15 minutes before: run this again later, if you want to see the mail too"
        raise Stopped("the function handled it and mailed nothing", [again])
    print(f"{(log_event['timestamp'] - called) // 1000:5} s  SNS took the mail, message id {test['messageId']}")
    print(
        f"\nEverything works up to SNS. Now look into the mailbox: the subject is [TEST] From CloudTrail to this mail: {marker}."
        " If it isn't there within a minute, look in the spam folder and for a subscription that is not confirmed:"
        f" aws sns list-subscriptions-by-topic --topic-arn {stack.output('AlertTopicArn')}"
    )


def main():
    """The exit code."""
    parser = argparse.ArgumentParser(description="Follow a marked call from CloudTrail to the mail.")
    parser.add_argument("stack", help="the stack's name")
    parser.add_argument("--seconds", type=int, default=TRAIL_SECONDS, help="how long to wait for the record (900)")
    arguments = parser.parse_args()

    with one_line_errors():
        stack = Stack(arguments.stack)
        try:
            follow(stack, arguments.seconds)
        except Stopped as stopped:
            where, reasons = stopped.args
            print(f"\nIt stopped here: {printable(where)}. What to check:", file=sys.stderr)
            for reason in reasons:
                print(f"  - {printable(reason)}", file=sys.stderr)
            print("  - the alarms of the stack, and docs/failure.md", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
