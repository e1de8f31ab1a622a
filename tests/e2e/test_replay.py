"""What failed is sent through the function again, from the queue and from the log group; and a test alert is sent.

The commands run as a person runs them, through `make`; the stack is deployed as it ships, with SNS or the
subscription gone, and back.
"""

import json
import sys
import time

import pytest

from conftest import DELIVERY_SECONDS, EVENTS, ROOT, environment, free_port, log_data, run, shipped_event, wait_for
from test_deployed import (  # noqa: F401 (fixtures)
    EVERY_RECORD,
    LOG_STREAM,
    TRAIL_LOG_GROUP,
    Inbox,
    messages,
    recipe,
    sam,
    trail,
)

sys.path.insert(0, str(ROOT / "operations"))
import replay  # noqa: E402

NAME = "replayed"
DAMAGED = {"awslogs": {"data": "!!"}}
# Nothing answers look-ups here.
PARAMETERS = {**EVERY_RECORD, "Recipe": recipe(NAME), "CloudTrailLogGroupName": TRAIL_LOG_GROUP, "Settings": "HISTORY_MINUTES=0"}


@pytest.fixture(scope="module")
def stack(sam, emulator, trail):  # noqa: F811
    with sam.deployed(NAME, NotificationEmail="", **PARAMETERS) as stack:
        sqs = emulator.client("sqs")
        queue = sqs.get_queue_attributes(QueueUrl=stack.failed_events, AttributeNames=["QueueArn"])["Attributes"]
        # The emulator's CloudFormation drops this property; tests/template proves that the template has it.
        emulator.client("lambda").update_function_configuration(
            FunctionName=stack.function, DeadLetterConfig={"TargetArn": queue["QueueArn"]}
        )
        yield stack


@pytest.fixture
def inbox(stack, emulator, request):
    inbox = Inbox(emulator, stack.topic, f"inbox-{request.node.name}"[:80])
    yield inbox
    inbox.close()


@pytest.fixture
def make(emulator, tmp_path):
    """`make TARGET STACK=…`, with the emulator for AWS."""
    env = environment(tmp_path, AWS_ENDPOINT_URL=emulator.url)

    def make(target, *variables, stack=NAME):
        return run(["make", "--no-print-directory", target, f"STACK={stack}", *variables], env, check=False)

    return make


class Endpoint:
    """Where the function finds SNS."""

    def __init__(self, stack, emulator):
        self.function = stack.function
        self.aws = emulator.client("lambda")
        self.variables = self.aws.get_function_configuration(FunctionName=stack.function)["Environment"]["Variables"]

    def set(self, **more):
        self.aws.update_function_configuration(
            FunctionName=self.function, Environment={"Variables": {**self.variables, **more}}
        )


@pytest.fixture
def sns(stack, emulator):
    endpoint = Endpoint(stack, emulator)
    yield endpoint
    endpoint.set()


def waiting(emulator, stack):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = emulator.client("sqs").get_queue_attributes(QueueUrl=stack.failed_events, AttributeNames=names)
    return [int(found["Attributes"][name]) for name in names]


def test_what_failed_three_times_is_mailed_once_sns_is_back(stack, emulator, inbox, sns, make):
    aws = emulator.client("lambda")
    event = (EVENTS / "create-access-key.json").read_text()
    sns.set(AWS_ENDPOINT_URL_SNS=f"http://127.0.0.1:{free_port()}")
    with stack.without_ticks():
        before = stack.invocations()

        for payload in (event, json.dumps(DAMAGED)):
            aws.invoke(FunctionName=stack.function, InvocationType="Event", Payload=payload)

        wait_for("both events in the queue", lambda: waiting(emulator, stack) == [2, 0], DELIVERY_SECONDS)
        assert stack.invocations() - before == 6
    assert inbox.take() is None

    # The cause is still there: both stay, and can be seen by the alarm.
    done = make("replay")
    assert done.returncode == 2, "make's own code for a recipe that failed"
    assert "NotifyError: the mail could not be sent" in done.stdout
    assert "0 handled and deleted, 2 left in the queue" in done.stdout, done.stdout
    assert waiting(emulator, stack) == [2, 0]

    sns.set()
    done = make("replay")

    # A queue keeps no order.
    mails = {mail["Subject"]: mail for mail in (inbox.take(), inbox.take())}
    # What can never be read stays, is mailed as that, and a person is told how to be rid of it.
    del mails["[HIGH] A batch could not be read: an unknown log group"]
    (mail,) = mails.values()
    alert = json.loads(mail["Message"])
    assert alert["actors"][0]["gravest"]["eventName"] == "CreateAccessKey"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("handled")]
    assert "matched 2, mails 1" in line and f"alert {alert['alertId']}" in line
    assert "BatchError: " in done.stdout and "awslogs.data is not base64" in done.stdout
    assert "1 handled and deleted, 1 left in the queue" in done.stdout
    assert f"aws sqs purge-queue --queue-url {stack.failed_events}" in done.stdout
    assert done.returncode == 2

    emulator.client("sqs").purge_queue(QueueUrl=stack.failed_events)
    done = make("replay")
    assert (done.returncode, done.stdout) == (0, "0 handled and deleted, 0 left in the queue\n")
    assert waiting(emulator, stack) == [0, 0]
    assert inbox.take() is None


def test_what_went_past_a_deleted_subscription_is_mailed_from_the_log_group(stack, emulator, trail, inbox, make):  # noqa: F811
    logs = emulator.client("logs")
    subscribed = logs.describe_subscription_filters(logGroupName=TRAIL_LOG_GROUP)["subscriptionFilters"]
    (subscription,) = [one for one in subscribed if one["filterName"] == NAME]
    logs.delete_subscription_filter(logGroupName=TRAIL_LOG_GROUP, filterName=NAME)
    with stack.without_ticks():
        before = stack.invocations()
        since = time.time() - 1
        trail(messages("iam-user") + messages("root-sign-in-without-mfa"))
        assert stack.invocations() == before

    # Nothing was there an hour ago.
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since - 3600))
    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    done = make("replay", f"SINCE={hour_ago}", f"UNTIL={start}")
    assert done.returncode == 0 and done.stdout.endswith("0 batches handled, 0 failed\n"), done.stdout

    done = make("replay", f"SINCE={start}")

    assert done.returncode == 0, done.stderr
    alert = json.loads(inbox.take()["Message"])
    (record,) = [json.loads(message) for message in messages("root-sign-in-without-mfa")]
    assert alert["actors"][0]["gravest"]["eventId"] == record["eventID"]
    assert (alert["logGroup"], alert["logStream"]) == (TRAIL_LOG_GROUP, LOG_STREAM)
    first, handled, totals = done.stdout.splitlines()
    assert first.startswith(f"{TRAIL_LOG_GROUP}, ") and first.endswith(", every record")
    assert f" of {LOG_STREAM}: matched 1, " in handled and handled.endswith(f"mails 1, alert {alert['alertId']}")
    assert totals == "1 batches handled, 0 failed"
    assert inbox.take() is None

    logs.put_subscription_filter(
        **{name: subscription[name] for name in ("logGroupName", "filterName", "filterPattern", "destinationArn")}
    )


def test_a_test_alert_arrives(stack, inbox, make):
    done = make("test-alert")

    assert done.returncode == 0, done.stderr
    mail = inbox.take()
    assert mail["Subject"] == f"[TEST] Alerts of {stack.function} reach you"
    assert mail["MessageId"] in done.stdout and stack.topic in done.stdout


def test_a_test_alert_that_fails_says_why(stack, sns, make):
    sns.set(ALERT_TOPIC_ARN="arn:aws:sns:eu-central-1:000000000000:gone")

    done = make("test-alert")

    assert done.returncode == 2, done.stdout
    assert "the test failed: NotifyError: " in done.stderr and "there is no such topic" in done.stderr


def test_a_stack_that_is_not_there_is_named(emulator, make):
    for target in ("replay", "test-alert"):
        done = make(target, stack="nowhere")
        assert done.returncode == 2 and "nowhere" in done.stderr and "Traceback" not in done.stderr


# ── How the log group's events become batches ─────────────────────────────────────────────────────────


def log_event(number, stream="a", size=10):
    # Digits of pi would do; what matters is that they don't compress to nothing.
    return {"eventId": str(number), "timestamp": number, "logStreamName": stream, "message": f"{number:x}".rjust(size, "x")}


@pytest.mark.parametrize(
    "found, expected",
    [
        ([], []),
        ([("a", 10)] * 3, [("a", 3)]),
        ([("a", 10), ("b", 10), ("a", 10)], [("a", 2), ("b", 1)]),
        ([("a", 500_000)] * 5, [("a", 2), ("a", 2), ("a", 1)]),
        ([("a", 500_000), ("b", 500_000), ("a", 10)], [("a", 1), ("b", 1), ("a", 1)]),
        ([("a", 1_000_000), ("b", 10)], [("a", 1), ("b", 1)]),
    ],
)
def test_batches_have_one_log_stream_each_and_a_bounded_size(found, expected):
    log_events = (log_event(number, stream, size) for number, (stream, size) in enumerate(found))

    made = list(replay.batches(log_events))

    assert [(stream, len(batch)) for stream, batch in made] == expected


def test_the_next_page_is_not_read_before_the_last_is_sent():
    read = []

    def pages():
        for number in range(100):
            read.append(number)
            yield log_event(number, size=replay.BATCH_BYTES // 2)

    batches = replay.batches(pages())
    assert len(read) == 0
    next(batches)
    assert len(read) == 2


def test_an_event_holds_what_the_log_group_had_and_no_more_than_lambda_takes():
    text = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(300_000))
    log_events = [
        {"eventId": str(number), "timestamp": number, "message": text[number * 1000 :][:40_000]} for number in range(40)
    ]

    made = list(replay.events("111122223333", "group", "stream", "stack", log_events))

    assert len(made) > 1
    together = []
    for event, part in made:
        assert len(event) <= 1_000_000
        data = log_data(json.loads(event))
        assert {**data, "logEvents": None} == {
            "messageType": "DATA_MESSAGE",
            "owner": "111122223333",
            "logGroup": "group",
            "logStream": "stream",
            "subscriptionFilters": ["stack"],
            "logEvents": None,
        }
        assert len(part) == len(data["logEvents"])
        together += data["logEvents"]
    assert together == [{"id": one["eventId"], "timestamp": one["timestamp"], "message": one["message"]} for one in log_events]
