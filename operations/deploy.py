#!/usr/bin/env python3
"""Deploy the stack: find the log group, ask what matters, run `sam deploy`, wait for the confirmations, send a test.

    deploy.py STACK [--sam PATH] [--set PARAMETER=VALUE …] [SAM's OPTIONS …]

Other options go to `sam deploy` as they are: --template-file, --no-confirm-changeset. Parameters that are neither asked
nor set keep their values, or have their defaults.

Exit code 1 if SAM or the test failed, 2 if AWS refused what is needed: sts:GetCallerIdentity,
cloudtrail:DescribeTrails, logs:DescribeLogGroups, logs:DescribeSubscriptionFilters; afterwards
cloudformation:DescribeStacks, sns:ListSubscriptionsByTopic,
sns:GetSubscriptionAttributes, sns:ConfirmSubscription, lambda:InvokeFunction.
"""

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse

import boto3
from botocore.exceptions import ClientError

from stack import CONFIG, Failure, Stack, one_line_errors, printable

# Control Tower's own log group: its name before landing zone 4.0, and how it begins since.
# Source: AWS Control Tower User Guide, "Logging AWS Control Tower actions with AWS CloudTrail".
CONTROL_TOWER = "aws-controltower/CloudTrailLogs"
# Source: CloudWatch Logs User Guide, "CloudWatch Logs quotas": subscription filters per log group.
FILTERS_MAX = 2
ADDRESS = re.compile(r"[^@\s,]{1,64}@[^@\s,]{1,255}")
ADDRESSES_MAX = 5
TEST = '{"test":{}}'
# The function's own limit, and a second.
TEST_PAUSE_SECONDS = 61


@dataclasses.dataclass
class LogGroup:
    """A log group that a trail may write to, and what a person should know before choosing it."""

    name: str
    trail: str
    every_region: bool
    filters: int

    def __str__(self):
        notes = [self.trail]
        if not self.every_region:
            notes.append("covers one Region only: root's actions elsewhere are missed")
        if self.filters >= FILTERS_MAX:
            notes.append(f"has {self.filters} subscription filters already, the maximum")
        return f"{self.name} ({'; '.join(notes)})"


def log_groups(session, stack):
    """The log groups in this Region that CloudTrail writes to, as far as that can be seen from this account."""
    found = {}
    for trail in session.client("cloudtrail", config=CONFIG).describe_trails(includeShadowTrails=True)["trailList"]:
        # arn:PARTITION:logs:REGION:ACCOUNT:log-group:NAME:*
        parts = trail.get("CloudWatchLogsLogGroupArn", "").split(":")
        if len(parts) > 6 and parts[3] == session.region_name:
            whose = "organization trail" if trail.get("IsOrganizationTrail") else "trail"
            found[parts[6]] = (f"{whose} {trail['Name']}", trail.get("IsMultiRegionTrail", False))
    logs = session.client("logs", config=CONFIG)
    for group in logs.describe_log_groups(logGroupNamePrefix=CONTROL_TOWER)["logGroups"]:
        found.setdefault(group["logGroupName"], ("Control Tower's", True))
    groups = []
    for name, (trail, every_region) in found.items():
        try:
            filters = logs.describe_subscription_filters(logGroupName=name)["subscriptionFilters"]
        except ClientError as error:
            # The organization's trail writes into another account, which this one can't look into.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            continue
        others = [one for one in filters if one["filterName"] != stack]
        groups.append(LogGroup(name, trail, every_region, len(others)))
    return sorted(groups, key=lambda group: (group.filters >= FILTERS_MAX, not group.every_region, group.name))


def ask(question, default=""):
    """A line that somebody types; the default where it is empty, or nobody is there."""
    try:
        answer = input(f"{question} ").strip()
    except EOFError:
        print()
        answer = ""
    return answer or default


def ask_log_group(groups, before):
    """The parameters that say where the records come from."""
    default = before.get("CloudTrailLogGroupName") or ("1" if groups and "CreateTrail" not in before else "n")
    print("\nWhich log group does your CloudTrail trail write to?\n")
    for number, group in enumerate(groups, 1):
        print(f"  {number}. {printable(str(group))}")
    if not groups:
        print("  No trail in this account and Region writes to a log group.")
    print("  n. none: create a trail with its own log group (a second trail of management events costs money)")
    while True:
        answer = ask(f"Number, name or n [{default}]:", default)
        if answer == "n":
            return {"CloudTrailLogGroupName": "", "CreateTrail": "true"}
        if answer.isdecimal() and 1 <= int(answer) <= len(groups):
            answer = groups[int(answer) - 1].name
        if re.fullmatch(r"[.\-_/#A-Za-z0-9]{1,512}", answer) and not answer.isdecimal():
            return {"CloudTrailLogGroupName": answer, "CreateTrail": "false"}
        print("That is neither a number in the list nor the name of a log group.")


def ask_addresses(question, default):
    """Up to five e-mail addresses."""
    while True:
        answer = ask(question, default).replace(" ", "")
        addresses = answer.split(",") if answer else []
        if len(addresses) <= ADDRESSES_MAX and all(not one or ADDRESS.fullmatch(one) for one in addresses):
            return answer
        print(f"Enter up to {ADDRESSES_MAX} e-mail addresses, separated by commas.")


def ask_yes(question, default):
    return ask(f"{question} [{'Y/n' if default else 'y/N'}]:", "y" if default else "n").lower().startswith("y")


def questions(groups, before):
    """What is asked, as parameters; `before` are those of the stack as it is."""
    kept = f" [{before['NotificationEmail']}]" if before.get("NotificationEmail") else ""
    chosen = ask_log_group(groups, before)
    print("\nAWS first sends each address a link; nothing else arrives before it is confirmed.")
    who = f"Who gets the alerts? Up to five addresses, comma separated{kept}:"
    alerts = ask_addresses(who, before.get("NotificationEmail", ""))
    kept = f" [{before['OperationsEmail']}]" if before.get("OperationsEmail") else " Enter for the same people"
    who = f"Who gets the alarms about the function?{kept}:"
    alarms = ask_addresses(who, before.get("OperationsEmail", ""))
    passes = before.get("SecurityHubCompliance") == "true"
    hub = ask_yes("Does Security Hub's control CloudWatch.1 have to pass?", passes)
    spoken = before.get("AlertLanguage", "en")
    language = ask(f"In which language are the alerts, en or ja? [{spoken}]:", spoken)
    return chosen | {
        "NotificationEmail": alerts,
        "OperationsEmail": alarms,
        "SecurityHubCompliance": str(hub).lower(),
        "AlertLanguage": "ja" if language == "ja" else "en",
    }


def token(text):
    """The token in a confirmation link, or the token itself."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(text).query)
    return query.get("Token", [text])[0]


def is_pending(sns, arn):
    """Whether a subscription waits for its confirmation. Until then the list has no ARN of it."""
    if not arn.startswith("arn:"):
        return arn == "PendingConfirmation"
    return sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"].get("PendingConfirmation") == "true"


def subscriptions(sns, topics):
    """Who is subscribed to these topics, and who has not confirmed that yet."""
    every = [one for topic in topics for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]]
    waiting = [one for one in every if is_pending(sns, one["SubscriptionArn"])]
    return [one for one in every if one not in waiting], waiting


def confirm(stack):
    """Waits until everybody is subscribed, or somebody is tired of it."""
    sns = stack.client("sns")
    topics = [stack.output("AlertTopicArn"), stack.output("OperationsTopicArn")]
    while True:
        confirmed, waiting = subscriptions(sns, topics)
        if not waiting:
            return confirmed, waiting
        print(f"\n{len(waiting)} of {len(waiting) + len(confirmed)} subscriptions are not confirmed:")
        for one in waiting:
            print(f"  {printable(one['Endpoint'])}, topic {one['TopicArn'].rsplit(':', 1)[1]}")
        print(
            "Copy the link in AWS's mail and paste it here. Don't open it: anyone who is forwarded an alert could then"
            " unsubscribe you."
        )
        answer = ask("Link, Enter to check again, or q to continue without:", "" if sys.stdin.isatty() else "q")
        if answer == "q":
            return confirmed, waiting
        if not answer:
            continue
        topic = urllib.parse.parse_qs(urllib.parse.urlsplit(answer).query).get("TopicArn", topics)
        for arn in topic:
            try:
                sns.confirm_subscription(TopicArn=arn, Token=token(answer), AuthenticateOnUnsubscribe="true")
                print("Confirmed.")
                break
            except ClientError as error:
                print(printable(f"{arn.rsplit(':', 1)[1]}: {error}"))


def main():
    """The exit code."""
    parser = argparse.ArgumentParser(description="Deploy the stack and check that mails arrive.")
    parser.add_argument("stack", help="the stack's name")
    parser.add_argument("--sam", default="sam", help="the SAM CLI")
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE", help="another parameter")
    parser.add_argument("--check", action="store_true", help="only see that there are a Region and credentials")
    arguments, sam_options = parser.parse_known_args()

    with one_line_errors():
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        if not session.region_name:
            raise Failure("no Region is set: AWS_DEFAULT_REGION=us-east-1, or `aws configure`")
        account = session.client("sts", config=CONFIG).get_caller_identity()["Account"]
        if arguments.check:
            return 0
        print(f"The stack {arguments.stack} goes to account {account}, Region {session.region_name}.")
        try:
            before = Stack(arguments.stack).parameters
        except ClientError:
            before = {}
        groups = log_groups(session, arguments.stack)
    parameters = questions(groups, before) | dict(one.split("=", 1) for one in arguments.set if "=" in one)
    # Quoted, or SAM takes a value's first word for all of it, and refuses an empty one.
    overrides = [f"{name}={json.dumps(value)}" for name, value in parameters.items()]
    command = [arguments.sam, "deploy", "--stack-name", arguments.stack, "--region", session.region_name]
    # Whoever only wants to confirm, or to see the test again, changes nothing.
    command.append("--no-fail-on-empty-changeset")
    print()
    done = subprocess.run([*command, *sam_options, "--parameter-overrides", *overrides])
    if done.returncode != 0:
        return 1
    with one_line_errors():
        stack = Stack(arguments.stack)
        confirmed, waiting = confirm(stack)
        readers = [printable(one["Endpoint"]) for one in confirmed if one["TopicArn"] == stack.output("AlertTopicArn")]
        if not readers:
            print("\nNobody has confirmed a subscription to the alerts, so no test is sent. Later: make test-alert")
            return 0 if waiting or not parameters["NotificationEmail"] else 1
        answer = stack.invoke(TEST)
        if answer.report is not None and not answer.report.get("mails"):
            print("\nThe function sends at most one test a minute: waiting for the next one.", flush=True)
            time.sleep(TEST_PAUSE_SECONDS)
            answer = stack.invoke(TEST)
    if answer.report is None or answer.report.get("mails") != 1:
        print(f"\nThe stack is deployed, but its test failed: {answer}", file=sys.stderr)
        return 1
    print(
        f"\nThe topic accepted a test, message id {answer.report['message_id']}. Its subject begins with [TEST], and it goes"
        f" to {', '.join(readers)}. If it doesn't arrive within a minute, look in the spam folder."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
