"""`make test-path`: a marked call, followed from its record to the mail.

The emulator's CloudTrail writes to no log group, so the test writes the record while the command waits for it. The call
itself goes to a stand-in for STS, which sees the user agent that the record has.
"""

import contextlib
import datetime
import http.server
import json
import re
import subprocess
import threading
import uuid

import pytest

from conftest import COMMAND_SECONDS, DELIVERY_SECONDS, ROOT, environment, run, tool, wait_for
from test_deployed import (  # noqa: F401 (fixtures)
    EVERY_RECORD,
    TRAIL_LOG_GROUP,
    Inbox,
    messages,
    recipe,
    sam,
    trail,
)

NAME = "path"
ARN = "arn:aws:sts::111122223333:assumed-role/operators/alice"


class Sts:
    """Answers GetCallerIdentity, and remembers what the caller says it is."""

    def __init__(self, arn):
        agents = self.agents = []

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                agents.append(self.headers["User-Agent"])
                body = (
                    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
                    f"<Arn>{arn}</Arn><UserId>AROA:alice</UserId><Account>111122223333</Account></GetCallerIdentityResult>"
                    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def sts(arn=ARN):
    stand_in = Sts(arn)
    thread = threading.Thread(target=stand_in.server.serve_forever)
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.server.shutdown()
        thread.join()
        stand_in.server.server_close()


@pytest.fixture(scope="module")
def stack(sam, trail):  # noqa: F811
    # Nothing answers look-ups here.
    settings = {"Recipe": recipe(NAME), "CloudTrailLogGroupName": TRAIL_LOG_GROUP, "Settings": "HISTORY_MINUTES=0"}
    with sam.deployed(NAME, NotificationEmail="", **EVERY_RECORD, **settings) as stack:
        yield stack


@pytest.fixture
def inbox(stack, emulator, request):
    inbox = Inbox(emulator, stack.topic, f"inbox-{request.node.name}"[:80])
    yield inbox
    inbox.close()


def record(agent, **fields):
    """What CloudTrail makes of the call, when it was made some seconds ago."""
    called = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=40)
    return json.dumps(
        {
            "eventVersion": "1.11",
            "userIdentity": {"type": "AssumedRole", "arn": ARN, "accountId": "111122223333"},
            "eventTime": called.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "sts.amazonaws.com",
            "eventName": "GetCallerIdentity",
            "awsRegion": "eu-central-1",
            "sourceIPAddress": "198.51.100.7",
            "userAgent": agent,
            "requestParameters": None,
            "responseElements": None,
            "eventID": str(uuid.uuid4()),
            "readOnly": True,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": "111122223333",
            **fields,
        }
    )


def closing_lines(stack):
    lines = [json.loads(line) for line in stack.log_lines() if line.startswith("{")]
    return [line for line in lines if "pathTests" in line]


def test_the_call_is_followed_to_the_mail_and_is_no_root_activity(stack, emulator, trail, inbox, tmp_path):  # noqa: F811
    with sts() as stand_in:
        env = environment(tmp_path, AWS_ENDPOINT_URL=emulator.url, AWS_ENDPOINT_URL_STS=stand_in.url)
        command = ["make", "--no-print-directory", "test-path", f"STACK={NAME}"]
        with subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
            try:
                first = running.stdout.readline()
                called = re.fullmatch(
                    rf"    0 s  {ARN} called sts:GetCallerIdentity, marked (RootUsageAlert-test-path-[a-z]{{12}})\n", first
                )
                assert called, first
                marker = called[1]
                (agent,) = stand_in.agents
                assert agent.startswith(marker)
                assert TRAIL_LOG_GROUP in running.stdout.readline()
                # Among others, as in every log group.
                trail(messages("iam-user") + [record("aws-cli/2.31.0"), record(agent)])
                rest, _ = running.communicate(timeout=COMMAND_SECONDS)
            finally:
                running.kill()
    assert running.returncode == 0, rest
    written, handled, taken, *_ = rest.splitlines()
    assert re.fullmatch(rf" +4\d s  CloudTrail wrote it to {TRAIL_LOG_GROUP}", written), rest
    assert re.fullmatch(
        rf" +[45]\d s  the function {stack.function} handled it in \d+\.\d s, \d+ s after it was written; request id [0-9a-f-]{{36}}",
        handled,
    ), rest
    assert re.fullmatch(r" +[45]\d s  SNS took the mail, message id \S+", taken), rest
    assert f"the subject is [TEST] From CloudTrail to this mail: {marker}." in rest

    mail = wait_for("the mail", inbox.take, DELIVERY_SECONDS)
    assert mail["Subject"] == f"[TEST] From CloudTrail to this mail: {marker}"
    document = json.loads(mail["Message"])
    assert (document["kind"], document["marker"], document["calledBy"]) == ("path-test", marker, ARN)
    assert document["logGroup"] == TRAIL_LOG_GROUP
    assert mail["MessageId"] in taken
    assert inbox.take() is None
    (line,) = closing_lines(stack)
    assert (line["Matched"], line["Reported"], line["Mails"]) == (0, 0, 1)
    # No incident either.
    env = environment(tmp_path, AWS_ENDPOINT_URL=emulator.url)
    done = run(["make", "--no-print-directory", "incidents", f"STACK={NAME}"], env)
    assert done.stdout == "No incident is open, and nothing waits for a mail.\n"


def test_root_is_told_as_root_though_the_call_is_marked(stack, trail, inbox):  # noqa: F811
    before = len(closing_lines(stack))
    root = {"type": "Root", "arn": "arn:aws:iam::444455556666:root", "accountId": "444455556666"}

    trail([record("RootUsageAlert-test-path-abcdefghijkl", userIdentity=root, recipientAccountId="444455556666")])

    mail = wait_for("the alert", inbox.take, DELIVERY_SECONDS)
    assert "TEST" not in mail["Subject"] and "444455556666: root" in mail["Subject"], mail["Subject"]
    assert json.loads(mail["Message"])["actors"][0]["gravest"]["eventName"] == "GetCallerIdentity"
    assert len(closing_lines(stack)) == before
    assert inbox.take() is None


STOPS = [
    # What stops it, whose call it is, the exit code, and what is said.
    ("the trail", ARN, 1, ["the record did not reach the log group", f"no trail that this account can see writes to {TRAIL_LOG_GROUP}"]),
    ("the subscription", ARN, 1, ["did not mail it in time", f"has no subscription filter {NAME}: it was deleted"]),
    ("root", "arn:aws:iam::111122223333:root", 2, ["these are root's credentials"]),
]


@pytest.mark.parametrize("what, arn, code, said", STOPS, ids=[row[0] for row in STOPS])
def test_where_it_stops_is_said_and_why(what, arn, code, said, stack, emulator, trail, inbox, tmp_path):  # noqa: F811
    logs = emulator.client("logs")
    (subscription,) = [
        one
        for one in logs.describe_subscription_filters(logGroupName=TRAIL_LOG_GROUP)["subscriptionFilters"]
        if one["filterName"] == NAME
    ]
    command = [tool("python", "tools"), "operations/test_path.py", NAME, "--seconds", "4"]
    if what == "the subscription":
        logs.delete_subscription_filter(logGroupName=TRAIL_LOG_GROUP, filterName=NAME)
    try:
        with sts(arn) as stand_in:
            env = environment(tmp_path, AWS_ENDPOINT_URL=emulator.url, AWS_ENDPOINT_URL_STS=stand_in.url)
            with subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
                if what == "the subscription":
                    wait_for("the call", lambda: stand_in.agents, DELIVERY_SECONDS)
                    trail([record(stand_in.agents[0])])
                _, error = running.communicate(timeout=COMMAND_SECONDS)
    finally:
        if what == "the subscription":
            keys = ("logGroupName", "filterName", "filterPattern", "destinationArn")
            logs.put_subscription_filter(**{key: subscription[key] for key in keys})
    assert running.returncode == code, error
    for part in said:
        assert part in error, error
    assert inbox.take() is None
