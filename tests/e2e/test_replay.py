"""What failed is sent through the function again, from the queue and from the log group; and a test alert is sent.

The commands run as a person runs them, through `make`; the stack is deployed as it ships, with SNS, its table or the
subscription gone, and back.
"""

import json
import sys
import time
import uuid

import pytest

from conftest import DELIVERY_SECONDS, EVENTS, ROOT, environment, free_port, log_data, raw_event, run, shipped_event, wait_for
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
    """Where the function finds SNS and its table."""

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


def of_account(account, *texts):
    """Records of another account: an incident of its own, whose first mail nothing holds back."""
    return [text.replace("111122223333", account) for text in texts]


def waiting(emulator, stack):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = emulator.client("sqs").get_queue_attributes(QueueUrl=stack.failed_events, AttributeNames=names)
    return [int(found["Attributes"][name]) for name in names]


def test_what_failed_three_times_is_mailed_once_sns_is_back(stack, emulator, inbox, sns, make):
    aws = emulator.client("lambda")
    event = (EVENTS / "create-access-key.json").read_text()
    nowhere = f"http://127.0.0.1:{free_port()}"
    # What the table has is tried by each tick, and Lambda is told that it is stored.
    sns.set(AWS_ENDPOINT_URL_SNS=nowhere, AWS_ENDPOINT_URL_DYNAMODB=nowhere)
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
    assert "1 handled and deleted, 1 left in the queue\n" in done.stdout
    assert done.stdout.endswith("records mailed 2\n"), done.stdout
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
    signed_in = of_account("444455556666", *messages("root-sign-in-without-mfa"))
    with stack.without_ticks():
        before = stack.invocations()
        since = time.time() - 1
        trail(messages("iam-user") + signed_in)
        assert stack.invocations() == before

    # Nothing was there an hour ago.
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since - 3600))
    start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    done = make("replay", f"SINCE={hour_ago}", f"UNTIL={start}")
    assert done.returncode == 0 and done.stdout.endswith("0 batches handled, 0 failed\n"), done.stdout

    done = make("replay", f"SINCE={start}")

    assert done.returncode == 0, done.stderr
    alert = json.loads(inbox.take()["Message"])
    (record,) = map(json.loads, signed_in)
    assert alert["actors"][0]["gravest"]["eventId"] == record["eventID"]
    assert (alert["logGroup"], alert["logStream"]) == (TRAIL_LOG_GROUP, LOG_STREAM)
    first, handled, totals, records = done.stdout.splitlines()
    assert first.startswith(f"{TRAIL_LOG_GROUP}, ") and first.endswith(", every record")
    assert f" of {LOG_STREAM}: matched 1, " in handled and handled.endswith(f"mails 1, alert {alert['alertId']}")
    assert (totals, records) == ("1 batches handled, 0 failed", "records mailed 1")
    assert inbox.take() is None

    # The same times again make the same batches, or others with the same records: none of them is told again.
    done = make("replay", f"SINCE={start}")
    assert done.returncode == 0 and "duplicate 1" in done.stdout and "mailed" not in done.stdout, done.stdout
    assert done.stdout.endswith("records duplicate 1: they were told before, and are not told again; with FORCE=1 they are told again\n")
    done = make("replay", f"SINCE={start}", "FORCE=1")
    assert done.returncode == 0 and " matched 1, " in done.stdout and "duplicate" not in done.stdout, done.stdout
    assert told(stack, emulator, inbox, record["eventID"]) == 1

    logs.put_subscription_filter(
        **{name: subscription[name] for name in ("logGroupName", "filterName", "filterPattern", "destinationArn")}
    )


def of(*records):
    """A delivery with records of root's, as the queue has it."""
    data = log_data(shipped_event("create-access-key"))
    data["logEvents"] = [
        {"id": str(number), "timestamp": int(time.time() * 1000), "message": json.dumps(one)}
        for number, one in enumerate(records)
    ]
    return json.dumps(raw_event(data))


def record(**fields):
    found = json.loads(*of_account("777788889999", messages("create-access-key")[-1]))
    return found | {"eventID": str(uuid.uuid4()), "responseElements": None} | fields


def read():
    return record(eventName="ListBuckets", eventSource="s3.amazonaws.com", readOnly=True, requestParameters=None)


def told(stack, emulator, inbox, *events):
    """How many mails tell these records, once all that is stored is told."""
    emulator.client("lambda").invoke(FunctionName=stack.function, Payload='{"tick":{"all":true}}')
    mails = list(iter(inbox.take, None))
    return sum(all(event in mail["Message"] for event in events) for mail in mails)


def test_what_was_told_is_told_again_by_force_alone_and_what_waits_is_said_to(stack, emulator, inbox, make):
    put = lambda event: emulator.client("sqs").send_message(QueueUrl=stack.failed_events, MessageBody=event)  # noqa: E731
    deed = record(requestParameters={"userName": "replayed"})
    event, reads = of(deed), read()
    put(event)
    done = make("replay")
    assert done.returncode == 0 and done.stdout.endswith("records mailed 1\n"), done.stdout

    # What was told, and what is new and can wait.
    put(event)
    put(of(reads))
    done = make("replay")
    assert done.returncode == 0, done.stdout
    batches, totals = done.stdout.splitlines()[:2], done.stdout.splitlines()[2:]
    assert sorted(line.split(": ")[1].split(", alert")[0] for line in batches) == ["duplicate 1", "matched 1, waiting 1"]
    assert totals == [
        "2 handled and deleted, 0 left in the queue",
        "records waiting 1: they are stored, and mailed when they are due; make incidents shows when",
        "records duplicate 1: they were told before, and are not told again; with FORCE=1 they are told again",
    ]
    assert told(stack, emulator, inbox, deed["eventID"]) == 1

    for _ in range(2):
        put(event)
        done = make("replay", "FORCE=1")
        assert done.returncode == 0 and " matched 1, " in done.stdout and "duplicate" not in done.stdout, done.stdout
        assert told(stack, emulator, inbox, deed["eventID"]) == 1


def test_what_comes_by_itself_or_nobody_waits_for_is_dropped_and_not_sent_again(stack, emulator, make):
    sqs = emulator.client("sqs")
    request = {"RequestType": "Delete", "ResponseURL": "http://127.0.0.1:9/", "LogicalResourceId": "WhatIsStored"}
    with stack.without_ticks():
        before = stack.invocations()
        for event in ({"tick": {}}, {"tick": {}}, request):
            sqs.send_message(QueueUrl=stack.failed_events, MessageBody=json.dumps(event))
        done = make("replay")
        assert done.returncode == 0, done.stdout
        assert stack.invocations() == before
    *dropped, totals = done.stdout.splitlines()
    assert sorted(line.split(" UTC: ")[1] for line in dropped) == [
        "a request of CloudFormation's, which no longer waits for the answer",
        *["a tick, and the next one comes within a minute by itself"] * 2,
    ]
    assert all(line.startswith("dropped  in the queue since ") for line in dropped)
    assert totals == "0 handled and deleted, 0 left in the queue, 3 dropped"
    assert waiting(emulator, stack) == [0, 0]


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


# ── What is replayed, and how ─────────────────────────────────────────────────────────────────────────

BATCH = {"awslogs": {"data": "H4sI"}}


@pytest.mark.parametrize(
    "event, is_needless",
    [
        ({"tick": {}}, True),
        ({"tick": {"all": True}}, True),
        ({"RequestType": "Delete", "ResponseURL": "https://x/"}, True),
        (BATCH, False),
        # Nothing that a record could say makes a batch anything else.
        (BATCH | {"tick": {}, "ResponseURL": "https://x/"}, False),
        ({"heartbeat": {}}, False),
        (["tick"], False),
        ("tick", False),
    ],
)
def test_a_batch_is_never_dropped(event, is_needless):
    assert (replay.needless(json.dumps(event)) is not None) == is_needless


@pytest.mark.parametrize(
    "event, force, expected",
    [
        (json.dumps(BATCH), None, json.dumps(BATCH)),
        (json.dumps(BATCH), "now", json.dumps(BATCH | {"force": "now"})),
        (json.dumps(BATCH | {"force": "before"}), "now", json.dumps(BATCH | {"force": "now"})),
        # As it came: the function says what is wrong with it.
        ("no JSON", "now", "no JSON"),
        ("[1]", "now", "[1]"),
    ],
)
def test_force_stands_beside_the_log_events(event, force, expected):
    assert replay.with_force(event, force) == expected


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
