"""The template as it ships, deployed by SAM into an emulator, from a log event to the alert.

The emulator evaluates no JSON filter pattern: the stack is deployed with rules for which the subscription passes every
record. The function's own rules decide then, as they do for all that CloudWatch Logs passes to it.
Nor does it know composite alarms: the stack is deployed with all alarms but that one. docs/emulator.md
says what else it can't do; tests/template checks all of that.
"""

import contextlib
import json
import time

import pytest
from samtranslator.yaml_helper import yaml_parse

from conftest import DELIVERY_SECONDS, REGION, ROOT, environment, log_data, run, shipped_event, tool, wait_for

TRAIL_LOG_GROUP = "aws-cloudtrail-logs"
LOG_STREAM = "111122223333_CloudTrail_eu-central-1"
EMAIL = "security@example.com"
# See above.
NO_COMPOSITE_ALARM = {"Alarms": "most"}
EVERY_RECORD = {"Rules": "root"}


def recipe(name):
    """The recipe under names of its own, beside the other stack's."""
    return f"{name};CloudTrailMetrics;RootAccountUsageCount;{name};1;300"


class Stack:
    """A deployed stack, and what a person or CloudTrail would do to it."""

    def __init__(self, emulator, name, outputs):
        self.emulator = emulator
        self.name = name
        self.topic = outputs["AlertTopicArn"]
        self.operations_topic = outputs["OperationsTopicArn"]
        self.function = outputs["FunctionName"]
        self.failed_events = outputs["DeadLetterQueueUrl"]

    def log_lines(self):
        logs = self.emulator.client("logs")
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{self.function}")["events"]
        return [event["message"] for event in events]

    @contextlib.contextmanager
    def without_ticks(self):
        """Nothing invokes the function each minute in this block, so that invocations can be counted."""
        events, cloudformation = self.emulator.client("events"), self.emulator.client("cloudformation")
        resource = {"StackName": self.name, "LogicalResourceId": "Tick"}
        rule = cloudformation.describe_stack_resource(**resource)["StackResourceDetail"]["PhysicalResourceId"]
        events.disable_rule(Name=rule)
        try:
            yield
        finally:
            events.enable_rule(Name=rule)

    def invocations(self):
        """How many invocations have ended, whatever their outcome."""
        return sum("REPORT RequestId" in line or '"platform.report"' in line for line in self.log_lines())


class Inbox:
    """A queue that is subscribed to a topic."""

    def __init__(self, emulator, topic, name):
        self.sqs = emulator.client("sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        queue = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        self.sns = emulator.client("sns")
        subscribed = self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["QueueArn"])
        self.subscription = subscribed["SubscriptionArn"]

    def take(self):
        """The oldest alert that is there now, or None."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=1).get("Messages", [])
        if not found:
            return None
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=found[0]["ReceiptHandle"])
        return json.loads(found[0]["Body"])

    def close(self):
        self.sns.unsubscribe(SubscriptionArn=self.subscription)
        self.sqs.delete_queue(QueueUrl=self.url)


def messages(event):
    """The log messages inside an event of events/."""
    return [entry["message"] for entry in log_data(shipped_event(event))["logEvents"]]


class Sam:
    """`sam` with the project's samconfig.yaml, and the emulator for AWS."""

    def __init__(self, emulator, template, scratch):
        self.emulator = emulator
        self.env = environment(scratch, AWS_ENDPOINT_URL=emulator.url)
        self.sam = tool("sam", "sam")
        # SAM looks for the configuration beside the template, and the built one is elsewhere.
        self.deploy = [self.sam, "deploy", "--config-file", str(ROOT / "samconfig.yaml")]
        self.deploy += ["--template-file", str(template)]

    @contextlib.contextmanager
    def deployed_by_a_person(self, answers):
        """`sam deploy --guided`, answered line by line."""
        typed = "".join(f"{answer}\n" for answer in answers)
        run([*self.deploy, "--guided"], self.env, answers=typed)
        with self.running(answers[0] or "root-usage-alert") as stack:
            yield stack

    @contextlib.contextmanager
    def deployed(self, name, **parameters):
        parameters = NO_COMPOSITE_ALARM | parameters
        # Quoted, or SAM takes a value's first word for all of it, and refuses an empty one.
        overrides = [f"{key}={json.dumps(value)}" for key, value in parameters.items()]
        run(
            [*self.deploy, "--stack-name", name, "--no-confirm-changeset", "--parameter-overrides", *overrides],
            self.env,
        )
        with self.running(name) as stack:
            yield stack

    @contextlib.contextmanager
    def running(self, name):
        """The stack of that name until the end of the block, where it is deleted."""
        try:
            stack = self.emulator.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
            outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
            yield Stack(self.emulator, name, outputs)
        finally:
            run([self.sam, "delete", "--stack-name", name, "--no-prompts", "--region", REGION], self.env)


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
def sam(emulator, built_template, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("deployed")
    yield Sam(emulator, built_template, scratch)


@pytest.fixture(scope="module")
def stack(sam, trail):
    typed = {"NotificationEmail": EMAIL, "CloudTrailLogGroupName": TRAIL_LOG_GROUP, **EVERY_RECORD, **NO_COMPOSITE_ALARM}
    parameters = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    answers = [
        "",  # the stack's name: the default
        "",  # the Region: the default
        *(typed.get(name, "") for name in parameters),  # in the template's order, the rest as it is
        "n",  # show the change set first? There is no way to look at it here.
        "y",  # may SAM make the function's role?
        "n",  # keep what was made if the deployment fails?
        "n",  # save these answers? test_upgrade.py does.
    ]
    with sam.deployed_by_a_person(answers) as stack:
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
    # A queue gets the document for machines.
    document = json.loads(alert["Message"])
    gravest = document["actors"][0]["gravest"]
    assert gravest["eventName"] == "CreateAccessKey"
    assert gravest["source"] == record["sourceIPAddress"]
    assert gravest["region"] == record["awsRegion"]
    assert gravest["time"] == record["eventTime"]
    assert document["matched"] == len(messages("create-access-key"))
    assert document["logGroup"] == TRAIL_LOG_GROUP
    # Both batches came in one invocation: what else would come is here by now.
    assert inbox.take() is None


def test_ordinary_records_are_not_reported(stack, trail, inbox):
    with stack.without_ticks():
        before = stack.invocations()

        trail(messages("iam-user"))
        trail(messages("root-by-service"))

        wait_for("both invocations to end", lambda: stack.invocations() >= before + 2, DELIVERY_SECONDS)
    assert inbox.take() is None


def test_event_that_fails_three_times_is_kept(stack, emulator, inbox):
    aws, sqs = emulator.client("lambda"), emulator.client("sqs")
    queue = sqs.get_queue_attributes(QueueUrl=stack.failed_events, AttributeNames=["QueueArn"])["Attributes"]
    # The emulator's CloudFormation drops this property (tests/template proves that the template
    # has it), and its subscriptions don't retry; an asynchronous invocation does.
    aws.update_function_configuration(
        FunctionName=stack.function, DeadLetterConfig={"TargetArn": queue["QueueArn"]}
    )
    event = {"awslogs": {"data": "!!"}}
    with stack.without_ticks():
        before = stack.invocations()

        aws.invoke(FunctionName=stack.function, InvocationType="Event", Payload=json.dumps(event).encode())

        kept = wait_for(
            "the failed event",
            lambda: sqs.receive_message(QueueUrl=stack.failed_events).get("Messages"),
            DELIVERY_SECONDS,
        )
        assert stack.invocations() - before == 3
    body = json.loads(kept[0]["Body"])
    # A dead-letter queue gets the event alone; the emulator wraps it as a destination's would be.
    assert body.get("requestPayload", body) == event
    assert "could not be read" in wait_for("the notice", inbox.take, DELIVERY_SECONDS)["Subject"]


def test_function_is_set_up_as_the_template_says(stack, emulator):
    function = emulator.client("lambda").get_function_configuration(FunctionName=stack.function)

    assert function["Runtime"] == "provided.al2023"
    assert function["MemorySize"] == 512
    assert function["Timeout"] == 30
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert function["Environment"]["Variables"]["ALERT_TOPIC_ARN"] == stack.topic


def test_email_address_is_subscribed(stack, emulator):
    for topic in (stack.topic, stack.operations_topic):
        found = emulator.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert [(one["Protocol"], one["Endpoint"]) for one in found] == [("email", EMAIL)]


def test_recipe_alarms_heartbeat_and_tick_are_there(stack, emulator):
    filters = emulator.client("logs").describe_metric_filters(logGroupName=TRAIL_LOG_GROUP)["metricFilters"]
    assert [one["filterName"] for one in filters] == ["RootAccountUsage"]
    alarms = emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 14
    names = {one["AlarmName"] for one in alarms}
    assert names >= {f"{stack.name}-overdue", f"{stack.name}-no-tick", f"{stack.name}-ledger"}
    assert {tuple(one["AlarmActions"]) for one in alarms} == {(stack.operations_topic,)}
    rules = emulator.client("events").list_rules()["Rules"]
    scheduled = [one["ScheduleExpression"] for one in rules if one.get("ScheduleExpression")]
    assert sorted(scheduled) == ["rate(1 hour)", "rate(1 minute)"]


def test_alarms_tell_the_operations_topic_and_not_the_inbox_of_the_alerts(stack, emulator, inbox):
    operations = Inbox(emulator, stack.operations_topic, "inbox-operations")
    aws = emulator.client("cloudwatch")
    names = [one["AlarmName"] for one in aws.describe_alarms()["MetricAlarms"]]

    for name in names:
        aws.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")

    told = [wait_for("an alarm's message", operations.take, DELIVERY_SECONDS) for _ in names]
    messages_of = {json.loads(each["Message"])["AlarmName"]: json.loads(each["Message"]) for each in told}
    assert sorted(messages_of) == sorted(names)
    assert all(each["AlarmDescription"] for each in messages_of.values())
    assert inbox.take() is None
    operations.close()


def test_extra_rule_sees_every_record_and_deleting_the_stack_leaves_nothing(sam, emulator, trail):
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
    with sam.deployed(
        name,
        NotificationEmail="",
        CloudTrailLogGroupName=TRAIL_LOG_GROUP,
        ExtraRulePattern="{ $.eventName = StopLogging }",
        Recipe=recipe(name),
    ) as stack:
        function = stack.function
        inbox = Inbox(emulator, stack.topic, "inbox-extra-rule")
        trail([json.dumps(record)])

        alert = wait_for("the alert", inbox.take, DELIVERY_SECONDS)

        gravest = json.loads(alert["Message"])["actors"][0]["gravest"]
        assert gravest["eventName"] == "StopLogging"
        assert gravest["source"] == record["sourceIPAddress"]
        inbox.close()

    logs = emulator.client("logs")
    filters = logs.describe_subscription_filters(logGroupName=TRAIL_LOG_GROUP)["subscriptionFilters"]
    filters += logs.describe_metric_filters(logGroupName=TRAIL_LOG_GROUP)["metricFilters"]
    alarms = emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
    rules = emulator.client("events").list_rules()["Rules"]
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    functions = emulator.client("lambda").list_functions()["Functions"]
    topics = emulator.client("sns").list_topics()["Topics"]
    queues = emulator.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls", [])
    roles = emulator.client("iam").list_roles()["Roles"]
    assert name not in [one["filterName"] for one in filters]
    assert groups == []
    assert function not in [one["FunctionName"] for one in functions]
    assert [one["TopicArn"] for one in topics if f":{name}-" in one["TopicArn"]] == []
    assert queues == []
    assert [one["AlarmName"] for one in alarms if one["AlarmName"].startswith(name)] == []
    assert [one["Name"] for one in rules if one["Name"].startswith(name)] == []
    assert [one["RoleName"] for one in roles if one["RoleName"].startswith(f"{name}-")] == []


def test_neither_a_log_group_nor_a_trail_is_refused_before_anything_is_made(sam, emulator):
    answers = ["NotificationEmail=''", "CloudTrailLogGroupName=''", "Alarms=most"]
    command = [*sam.deploy, "--stack-name", "refused", "--no-confirm-changeset", "--parameter-overrides", *answers]
    done = run(command, sam.env, check=False)

    assert done.returncode != 0
    assert "Give either CloudTrailLogGroupName" in done.stdout + done.stderr
    assert [one for one in emulator.client("sns").list_topics()["Topics"] if ":refused-" in one["TopicArn"]] == []
