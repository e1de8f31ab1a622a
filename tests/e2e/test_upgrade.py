"""What a stack of version 0.1 becomes, and where SAM keeps the answers that it was given.

The function does not run here: what is deployed as its code is a stub, so that nothing has to be built.
"""

import json
import shutil
import subprocess
import tomllib

import pytest
from samtranslator.yaml_helper import yaml_parse

from conftest import REGION, ROOT, environment, run, tool

DATA = ROOT / "tests" / "e2e" / "data"
LOG_GROUP = "aws-cloudtrail-logs-upgrade"
NAME = "upgraded"
# What docs/upgrade.md says of each parameter of 0.1, with values that are nowhere the default. The emulator knows no
# composite alarm, so Alarms is not all.
OLD = {
    "NotificationEmail": "a@example.com",
    "ThirdNotificationEmail": "c@example.com",
    "CloudTrailLogGroupName": LOG_GROUP,
    "Rules": "root-usage,cis",
    "AlertLanguage": "ja",
    "AlertTimeZone": "Asia/Tokyo",
    "HistoryMinutes": "15",
    "MaskAccessKeys": "false",
    "HistoryTimeoutMs": "500",
    "Metrics": "off",
    "Alarms": "most",
    "RecipeFilterName": NAME,
    "RecipeMetricNamespace": "Other",
    "RecipeAlarmName": "Root, again",
    "RecipeThreshold": "2",
    "RecipePeriodSeconds": "900",
}
NEW = {
    "NotificationEmail": "a@example.com,,c@example.com",
    "CloudTrailLogGroupName": LOG_GROUP,
    "Rules": "root-usage,cis",
    "AlertLanguage": "ja",
    "Alarms": "most",
    "Recipe": f"{NAME};Other;RootAccountUsageCount;Root, again;2;900",
    "Settings": "ALERT_TIME_ZONE=Asia/Tokyo;HISTORY_MINUTES=15;MASK_ACCESS_KEYS=false;HISTORY_TIMEOUT_MS=500;METRICS=off",
}
# What docs/upgrade.md says that the update adds. Without metrics there are no alarms on them.
ADDED = {
    "DeadLetterQueuePolicy", "LedgerTable", "Tick", "TickAlarm", "TickPermission", "WhatIsStored",
    "WatchFilters", "WatchLogGroup", "WatchLogData", "WatchFunction",
    "WatchTopics", "WatchStored", "WatchAlarmsGone", "WatchAlarmsSet",
    "WatchAlarmsMuted", "WatchStack", "WatchTrail", "WatchRules",
    "WatchTargets",
}
# Lambda's Runtime API, and CloudFormation's of custom resources: all that the deployment asks of a function.
STUB = """#!/usr/bin/env python3
import json, os, urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"

def send(url, body, method):
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), method=method)).close()

while True:
    with urllib.request.urlopen(f"{API}/next") as asked:
        request, event = asked.headers["Lambda-Runtime-Aws-Request-Id"], json.load(asked)
    if "ResponseURL" in event:
        same = {name: event[name] for name in ("RequestId", "StackId", "LogicalResourceId")}
        send(event["ResponseURL"], same | {"Status": "SUCCESS", "PhysicalResourceId": "what-is-stored"}, "PUT")
    send(f"{API}/{request}/response", {}, "POST")
"""


class Clone:
    """A fresh clone as far as SAM looks at it, after `sam build`."""

    def __init__(self, folder, emulator, template=ROOT / "template.yaml"):
        self.folder = folder
        self.env = environment(folder / "home", AWS_ENDPOINT_URL=emulator.url)
        built = folder / ".aws-sam" / "build"
        (built / "AlertFunction").mkdir(parents=True)
        (folder / "home").mkdir()
        bootstrap = built / "AlertFunction" / "bootstrap"
        bootstrap.write_text(STUB)
        bootstrap.chmod(0o755)
        text = template.read_text()
        (folder / "template.yaml").write_text(text)
        (built / "template.yaml").write_text(text.replace("CodeUri: .\n", "CodeUri: AlertFunction\n"))
        shutil.copy(ROOT / "samconfig.yaml", folder)

    def sam(self, *arguments, answers="", check=True):
        command = [tool("sam", "sam"), *arguments, "--region", REGION]
        return run(command, self.env, answers=answers, check=check, folder=self.folder)

    def deploy(self, name, parameters):
        # Quoted, or SAM takes a value's first word for all of it.
        overrides = [f"{key}={json.dumps(value)}" for key, value in parameters.items()]
        self.sam("deploy", "--stack-name", name, "--no-confirm-changeset", "--parameter-overrides", *overrides)


@pytest.fixture
def log_group(emulator):
    logs = emulator.client("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)
    yield
    logs.delete_log_group(logGroupName=LOG_GROUP)


def ids(emulator):
    """The physical id of each resource of the stack."""
    found = emulator.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def state(emulator):
    """What a person would miss, as AWS itself lists it."""
    sns, outputs = emulator.client("sns"), {}
    for topic in sns.list_topics()["Topics"]:
        if f":{NAME}-" in topic["TopicArn"]:
            subscribed = sns.list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"]
            outputs[topic["TopicArn"]] = sorted((one["Endpoint"], one["SubscriptionArn"]) for one in subscribed)
    queues = emulator.client("sqs").list_queues(QueueNamePrefix=NAME)["QueueUrls"]
    logs = emulator.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{NAME}")["logGroups"]
    filters = logs.describe_subscription_filters(logGroupName=LOG_GROUP)["subscriptionFilters"]
    recipes = logs.describe_metric_filters(logGroupName=LOG_GROUP)["metricFilters"]
    alarms = emulator.client("cloudwatch").describe_alarms(AlarmNames=["Root, again"])["MetricAlarms"]
    return {
        "topics": outputs,
        "queues": queues,
        "groups": [(group["logGroupName"], group["creationTime"]) for group in groups],
        "filters": [(one["filterName"], one["filterPattern"]) for one in filters],
        "recipes": [(one["filterName"], one["filterPattern"], one["metricTransformations"]) for one in recipes],
        "alarms": [(one["Namespace"], one["MetricName"], one["Threshold"], one["Period"]) for one in alarms],
    }


def deleted(emulator, stack):
    """When the stack's deletion was done with each resource: deleted it, or left it."""
    events = emulator.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    done = [one["LogicalResourceId"] for one in events if one["ResourceStatus"] in ("DELETE_COMPLETE", "DELETE_SKIPPED")]
    # The newest comes first. What an update removed before stands last.
    return {name: number for number, name in enumerate(reversed(done))}


def test_stack_of_0_1_is_updated_and_nothing_replaced_or_lost(emulator, tmp_path, log_group):
    old = Clone(tmp_path / "old", emulator, DATA / "template-0.1.yaml")
    new = Clone(tmp_path / "new", emulator)
    old.deploy(NAME, OLD)
    try:
        before, state_before = ids(emulator), state(emulator)
        assert [len(each) for each in state_before["topics"].values()] == [2, 2]

        new.deploy(NAME, NEW)

        after = ids(emulator)
        kept = {name: after.get(name) for name in before}
        assert kept == before
        assert after.keys() - before.keys() == ADDED
        assert state(emulator) == state_before
        function = emulator.client("lambda").get_function_configuration(FunctionName=NAME)
        assert function["Environment"]["Variables"]["SETTINGS"] == NEW["Settings"]

        # What the instructions warn of: the old answers as they are. It also shows that a loss would have been seen.
        new.deploy(NAME, OLD)
        assert after.keys() - ids(emulator).keys() == {"AlertsToThirdEmail", "OperationsToThirdEmail"}
    finally:
        stack = emulator.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]["StackId"]
        new.sam("delete", "--stack-name", NAME, "--no-prompts")

    # The function is asked for what is stored when nothing more comes, and while a mail still has what it needs.
    gone = deleted(emulator, stack)
    kept = gone.pop("LedgerTable")
    asked = gone.pop("WhatIsStored")
    assert gone.pop("Subscription") < asked < min(gone[name] for name in ("AlertFunction", "AlertsToFirstEmail", "AlertTopic"))
    assert asked < kept
    assert after["LedgerTable"] in emulator.client("dynamodb").list_tables()["TableNames"]


def test_a_running_stack_gets_a_pager_and_loses_it(emulator, tmp_path, log_group):
    pager = "arn:aws:sns:us-west-2:444455556666:pager"
    answers = {"NotificationEmail": "a@example.com", "CloudTrailLogGroupName": LOG_GROUP, "Alarms": "most"}
    clone, iam, cloudwatch = Clone(tmp_path / "clone", emulator), emulator.client("iam"), emulator.client("cloudwatch")

    def role_may_publish_to():
        policy = iam.get_role_policy(RoleName=ids(emulator)["AlertFunctionRole"], PolicyName="alert")["PolicyDocument"]
        return [one["Resource"] for one in policy["Statement"] if one["Action"] == "sns:Publish"]

    def settings(value):
        clone.deploy(NAME, answers | {"Settings": value})
        function = emulator.client("lambda").get_function_configuration(FunctionName=NAME)
        assert function["Environment"]["Variables"]["SETTINGS"] == value
        alarms = cloudwatch.describe_alarms(AlarmNames=[f"{NAME}-pager"])["MetricAlarms"]
        return role_may_publish_to(), [one["MetricName"] for one in alarms]

    clone.deploy(NAME, answers)
    try:
        before = ids(emulator)
        topic = before["AlertTopic"]
        assert role_may_publish_to() == [topic]

        assert settings(f"HISTORY_MINUTES=15;PAGER_TOPIC_ARN={pager};HTTPS_FORMAT=amazon-q") == ([topic, pager], ["PagerFailures"])
        assert {name: each for name, each in ids(emulator).items() if name != "PagerAlarm"} == before
        assert settings("HISTORY_MINUTES=15") == ([topic], [])
        assert ids(emulator) == before
    finally:
        clone.sam("delete", "--stack-name", NAME, "--no-prompts")


def test_every_parameter_of_0_1_is_in_the_instructions():
    old = yaml_parse((DATA / "template-0.1.yaml").read_text())["Parameters"]
    text = (ROOT / "docs" / "upgrade.md").read_text()

    assert [name for name in old if f"| `{name}` |" not in text] == []


def test_answers_are_kept_where_git_does_not_look(emulator, tmp_path, log_group):
    clone = Clone(tmp_path / "clone", emulator)
    defaults = (clone.folder / "samconfig.yaml").read_text()
    typed = {"NotificationEmail": "a@example.com", "CloudTrailLogGroupName": LOG_GROUP, "Alarms": "most"}
    questions = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    answers = ["", "", *(typed.get(name, "") for name in questions), "n", "y", "n", "y", "", ""]

    clone.sam("deploy", "--guided", answers="".join(f"{answer}\n" for answer in answers))
    try:
        # As a person deploys again.
        again = clone.sam("deploy", "--no-confirm-changeset", "--no-fail-on-empty-changeset")
        assert "root-usage-alert" in again.stdout
    finally:
        clone.sam("delete", "--stack-name", "root-usage-alert", "--no-prompts")

    assert (clone.folder / "samconfig.yaml").read_text() == defaults
    saved = tomllib.loads((clone.folder / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert saved["capabilities"] == "CAPABILITY_IAM"
    assert 'NotificationEmail="a@example.com"' in saved["parameter_overrides"]
    ignored = ["git", "check-ignore", "--no-index", "--quiet", "samconfig.toml"]
    assert subprocess.run(ignored, cwd=ROOT).returncode == 0
    tracked = subprocess.run(["git", "ls-files", "samconfig.*"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert tracked.stdout.split() == ["samconfig.yaml"]
