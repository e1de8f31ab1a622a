"""The template as it ships, deployed by SAM into an emulator, from a log event to the alert.

The emulator evaluates no JSON filter pattern, only terms: the stack is deployed with the term `Root`.
The function's own rule decides then, as it does for every record that CloudWatch Logs passes to it.
"""

import base64
import contextlib
import gzip
import json
import shutil
import time

import pytest

from conftest import DELIVERY_SECONDS, EVENTS, ROOT, environment, run, tool, wait_for

TRAIL_LOG_GROUP = "aws-cloudtrail-logs"
LOG_STREAM = "111122223333_CloudTrail_eu-central-1"
EMAIL = "security@example.com"


class Stack:
    """A deployed stack, and what a person or CloudTrail would do to it."""

    def __init__(self, emulator, name, outputs):
        self.emulator = emulator
        self.name = name
        self.topic = outputs["AlertTopicArn"]
        self.function = outputs["FunctionName"]
        self.failed_events = outputs["DeadLetterQueueUrl"]

    def log_lines(self):
        logs = self.emulator.client("logs")
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{self.function}")["events"]
        return [event["message"] for event in events]

    def invocations(self):
        """How many invocations have ended, whatever their outcome."""
        return sum("REPORT RequestId" in line or '"platform.report"' in line for line in self.log_lines())


class Inbox:
    """A queue that is subscribed to a topic."""

    def __init__(self, emulator, topic, name):
        self.sqs = emulator.client("sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        queue = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        emulator.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["QueueArn"])

    def take(self):
        """The oldest alert that is there now, or None."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=1).get("Messages", [])
        if not found:
            return None
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=found[0]["ReceiptHandle"])
        return json.loads(found[0]["Body"])

    def close(self):
        self.sqs.delete_queue(QueueUrl=self.url)


def messages(event):
    """The log messages inside a raw Lambda event."""
    data = json.loads((EVENTS / f"{event}.json").read_text())["awslogs"]["data"]
    return [entry["message"] for entry in json.loads(gzip.decompress(base64.b64decode(data)))["logEvents"]]


@contextlib.contextmanager
def deployed(emulator, template, scratch, name, **parameters):
    """`sam deploy` on the way in, `sam delete` on the way out, with the project's samconfig.toml."""
    sam = tool("sam", "sam")
    env = environment(scratch, AWS_ENDPOINT_URL=emulator.url)
    parameters.setdefault("CloudTrailLogGroupName", TRAIL_LOG_GROUP)
    # Quoted, or SAM takes a value's first word for all of it, and refuses an empty one.
    overrides = [f"{key}={json.dumps(value)}" for key, value in parameters.items()]
    run(
        # SAM looks for the configuration beside the template, and the built one is elsewhere.
        [sam, "deploy", "--config-file", str(ROOT / "samconfig.toml"), "--template-file", str(template)]
        + ["--stack-name", name, "--no-confirm-changeset", "--parameter-overrides", *overrides],
        env,
    )
    stack = emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    try:
        yield Stack(emulator, name, outputs)
    finally:
        run([sam, "delete", "--stack-name", name, "--no-prompts", "--region", env["AWS_REGION"]], env)


@pytest.fixture(scope="module")
def trail(emulator):
    """What CloudTrail does: write records to its log group."""
    logs = emulator.client("logs")
    logs.create_log_group(logGroupName=TRAIL_LOG_GROUP)
    logs.create_log_stream(logGroupName=TRAIL_LOG_GROUP, logStreamName=LOG_STREAM)

    def write(records):
        now = int(time.time() * 1000)
        logs.put_log_events(
            logGroupName=TRAIL_LOG_GROUP,
            logStreamName=LOG_STREAM,
            logEvents=[{"timestamp": now, "message": record} for record in records],
        )

    yield write
    logs.delete_log_group(logGroupName=TRAIL_LOG_GROUP)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    directory = tmp_path_factory.mktemp("deployed")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def stack(emulator, built_template, trail, scratch):
    with deployed(
        emulator,
        built_template,
        scratch,
        "root-usage-alert",
        NotificationEmail=EMAIL,
        SubscriptionFilterPattern="Root",
    ) as stack:
        yield stack


@pytest.fixture
def inbox(stack, emulator, request):
    inbox = Inbox(emulator, stack.topic, f"inbox-{request.node.name}"[:80])
    yield inbox
    inbox.close()


def test_root_activity_is_reported_with_its_facts(stack, trail, inbox):
    trail(messages("iam-user") + messages("create-access-key"))

    alert = wait_for("the alert", inbox.take, DELIVERY_SECONDS)

    assert alert["TopicArn"] == stack.topic
    record = json.loads(messages("create-access-key")[-1])
    assert "root" in alert["Subject"].lower()
    assert record["recipientAccountId"] in alert["Subject"]
    for fact in ("CreateAccessKey", record["sourceIPAddress"], record["awsRegion"], record["eventTime"]):
        assert fact in alert["Message"]
    # Both batches came in one invocation: what else would come is here by now.
    assert inbox.take() is None


def test_ordinary_records_are_not_reported(stack, trail, inbox):
    before = stack.invocations()

    # The word Root is in both, so they pass the emulator's filter and the function decides.
    trail(messages("iam-user"))
    trail(messages("root-by-service"))

    wait_for("both invocations to end", lambda: stack.invocations() >= before + 2, DELIVERY_SECONDS)
    assert inbox.take() is None


def test_event_that_fails_three_times_is_kept_as_it_was(stack, emulator, inbox):
    event = {"awslogs": {"data": "!!"}}
    emulator.client("lambda").invoke(
        FunctionName=stack.function, InvocationType="Event", Payload=json.dumps(event).encode()
    )

    sqs = emulator.client("sqs")
    kept = wait_for(
        "the failed event",
        lambda: sqs.receive_message(QueueUrl=stack.failed_events).get("Messages"),
        DELIVERY_SECONDS,
    )

    assert json.loads(kept[0]["Body"]) == event
    assert inbox.take() is None


def test_function_is_set_up_as_the_template_says(stack, emulator):
    function = emulator.client("lambda").get_function_configuration(FunctionName=stack.function)

    assert function["Runtime"] == "provided.al2023"
    assert function["MemorySize"] == 128
    assert function["Timeout"] == 30
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert function["Environment"]["Variables"]["ALERT_TOPIC_ARN"] == stack.topic


def test_email_address_is_subscribed(stack, emulator):
    found = emulator.client("sns").list_subscriptions_by_topic(TopicArn=stack.topic)["Subscriptions"]

    assert [(one["Protocol"], one["Endpoint"]) for one in found if one["Protocol"] != "sqs"] == [("email", EMAIL)]


def test_extra_rule_sees_every_record_and_deleting_the_stack_leaves_nothing(
    emulator, built_template, trail, scratch
):
    name = "extra-rule"
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": "alice"},
        "eventTime": "2026-01-01T10:00:00Z",
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.44",
        "eventID": "f0a4f9b5-2a8b-4f57-9d0c-0c9b8a2f6f11",
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
    }
    # The filter pattern is left at its default, and there is no e-mail address.
    with deployed(
        emulator,
        built_template,
        scratch,
        name,
        NotificationEmail="",
        ExtraRulePattern="{ $.eventName = StopLogging }",
    ) as stack:
        topic, function = stack.topic, stack.function
        inbox = Inbox(emulator, topic, "inbox-extra-rule")
        trail([json.dumps(record)])

        alert = wait_for("the alert", inbox.take, DELIVERY_SECONDS)

        assert "StopLogging" in alert["Message"]
        assert "192.0.2.44" in alert["Message"]
        inbox.close()

    logs = emulator.client("logs")
    filters = logs.describe_subscription_filters(logGroupName=TRAIL_LOG_GROUP)["subscriptionFilters"]
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    functions = emulator.client("lambda").list_functions()["Functions"]
    topics = emulator.client("sns").list_topics()["Topics"]
    queues = emulator.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls", [])
    roles = emulator.client("iam").list_roles()["Roles"]
    assert name not in [one["filterName"] for one in filters]
    assert groups == []
    assert function not in [one["FunctionName"] for one in functions]
    assert topic not in [one["TopicArn"] for one in topics]
    assert queues == []
    assert [one["RoleName"] for one in roles if one["RoleName"].startswith(f"{name}-")] == []
