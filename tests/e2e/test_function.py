"""The function's own process: a stub of the Runtime API on one side, of SNS on the other, both real HTTP.

What SNS answers is the test's choice here, as no emulator fails on demand.
"""

import contextlib
import http.server
import json
import queue
import re
import subprocess
import threading
import time
import urllib.parse

import pytest

from conftest import BUILD_SECONDS, EVENTS, FUNCTION_BINARY, ROOT, environment, run, wait_for

TOPIC = "arn:aws:sns:eu-central-1:111122223333:alerts"
REQUEST_ID = "6f1e4bb5-0a5c-4e0e-9d0b-3f6b3c1f2a11"
TAKEN = (200, "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>")
ROOT_EVENT = (EVENTS / "create-access-key.json").read_text()
# Of the refused message, its retries included: the SDK tries three times with pauses of a second or two.
ANSWER_SECONDS = 25


def refusal(status, code, message="no"):
    return status, f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"


class Stub(http.server.ThreadingHTTPServer):
    """Both ends of the function: hands out events, takes answers and messages."""

    daemon_threads = True

    def __init__(self, sns_answers):
        super().__init__(("127.0.0.1", 0), Exchange)
        self.events = queue.Queue()
        self.answers = queue.Queue()
        self.sns_answers = list(sns_answers)
        self.published = []
        self.scopes = []
        self.polled = threading.Event()
        # A topic for which SNS never answers.
        self.silent_topic, self.released = None, threading.Event()
        self.address = f"127.0.0.1:{self.server_port}"


class Exchange(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        self.server.polled.set()
        event = self.server.events.get()
        if event is None:
            return self.reply(500, "{}")
        self.reply(
            200,
            event,
            Content_Type="application/json",
            Lambda_Runtime_Aws_Request_Id=REQUEST_ID,
            Lambda_Runtime_Deadline_Ms=str(int(time.time() * 1000) + 30_000),
            Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:eu-central-1:111122223333:function:f",
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/":
            self.server.published.append({name: value[0] for name, value in urllib.parse.parse_qs(body).items()})
            # Date, Region and service that the request is signed for.
            self.server.scopes.append(re.search(r"Credential=([^,]+)", self.headers["Authorization"])[1])
            if self.server.published[-1]["TopicArn"] == self.server.silent_topic:
                return self.server.released.wait(60)
            answers = self.server.sns_answers
            status, text = answers.pop(0) if len(answers) > 1 else answers[0]
            return self.reply(status, text, Content_Type="text/xml")
        self.reply(202, "{}")
        self.server.answers.put((self.path.rsplit("/", 1)[1], json.loads(body)))


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    run(["cargo", "build", "--locked", "--bin", FUNCTION_BINARY], environment(tmp_path_factory.mktemp("build")), BUILD_SECONDS)
    return ROOT / "target/debug" / FUNCTION_BINARY


@contextlib.contextmanager
def function(binary, scratch, sns_answers, **variables):
    """The running function; `invoke` gives it an event and returns what it posts back."""
    stub = Stub(sns_answers)
    threading.Thread(target=stub.serve_forever, daemon=True).start()
    env = environment(
        scratch,
        AWS_LAMBDA_RUNTIME_API=stub.address,
        AWS_LAMBDA_FUNCTION_NAME="f",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="512",
        AWS_LAMBDA_FUNCTION_VERSION="1",
        AWS_LAMBDA_LOG_FORMAT="JSON",
        # Nothing answers look-ups here; tests/e2e/test_history.py has what does.
        **{
            "ALERT_TOPIC_ARN": TOPIC,
            "HISTORY_MINUTES": "0",
            "AWS_ENDPOINT_URL_SNS": f"http://{stub.address}",
            **variables,
        },
    )
    log = open(scratch / "function.log", "wb")
    process = subprocess.Popen([binary], env=env, stdout=log, stderr=subprocess.STDOUT)

    def invoke(event):
        stub.events.put(event)
        return stub.answers.get(timeout=ANSWER_SECONDS)

    try:
        wait_for("the function to poll", stub.polled.is_set, 10)
        stub.invoke = invoke
        stub.pid = process.pid
        stub.log = lambda: (scratch / "function.log").read_text()
        yield stub
    finally:
        process.kill()
        process.wait()
        stub.released.set()
        stub.shutdown()
        log.close()


def test_polls_publishes_and_answers(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN]) as stub:
        kind, report = stub.invoke(ROOT_EVENT)

        assert (kind, report["matched"], report["mails"], report["message_id"]) == ("response", 2, 1, "m-1")
        (published,) = stub.published
        assert published["TopicArn"] == TOPIC
        assert published["MessageStructure"] == "json"
        forms = json.loads(published["Message"])
        assert forms["email"].startswith("Root created an access key for itself in account 111122223333.\n")
        assert json.loads(forms["default"])["alertId"] == report["alert_id"]
        assert len(forms["sms"]) <= 140

        assert stub.invoke(ROOT_EVENT)[1]["duplicate"] == 2
        assert len(stub.published) == 1


@pytest.mark.parametrize(
    "status, code, message, advice",
    [
        (404, "NotFound", "Topic does not exist", "there is no such topic"),
        (403, "AuthorizationError", "not authorized to perform: SNS:Publish", "needs sns:Publish on the topic"),
        (400, "KMSAccessDenied", "The ciphertext refers to a key", "kms:GenerateDataKey* and kms:Decrypt"),
        (400, "KMSDisabled", "The key is disabled", "must be enabled"),
        (400, "InvalidParameter", "Invalid parameter: TopicArn", "ALERT_TOPIC_ARN"),
        (403, "InvalidClientTokenId", "The security token is invalid", "credentials"),
        (500, "InternalError", "internal", "Lambda will try again"),
        (400, "Throttling", "Rate exceeded", "Lambda will try again"),
    ],
)
def test_a_refusal_fails_the_invocation_and_names_the_remedy(binary, tmp_path, status, code, message, advice):
    with function(binary, tmp_path, [refusal(status, code, message)]) as stub:
        kind, error = stub.invoke(ROOT_EVENT)

        assert (kind, error["errorType"]) == ("error", "NotifyError")
        assert advice in error["errorMessage"] and code in error["errorMessage"], error
        # What was not mailed is not remembered as mailed.
        stub.sns_answers = [TAKEN]
        kind, report = stub.invoke(ROOT_EVENT)
        assert (kind, report["matched"], report["mails"]) == ("response", 2, 1)


def test_a_message_that_is_refused_is_sent_again_as_plain_text(binary, tmp_path):
    answers = [refusal(400, "InvalidParameter", "Invalid parameter: Message too long"), TAKEN]
    with function(binary, tmp_path, answers) as stub:
        kind, report = stub.invoke(ROOT_EVENT)

        assert (kind, report["mails"]) == ("response", 1)
        full, plain = stub.published
        assert "MessageStructure" in full and "MessageStructure" not in plain
        for fact in ["CreateAccessKey", "198.51.100.77", "us-east-1", "111122223333", "9736d713-1694-4c72-adc5-2513d32702f2"]:
            assert fact in plain["Message"]
        assert report["alert_id"] in plain["Message"]
        assert plain["Message"].isascii() and len(plain["Message"]) < 1000


def test_what_is_logged_holds_counts_and_no_content(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN], AWS_LAMBDA_LOG_LEVEL="INFO") as stub:
        stub.invoke((EVENTS / "hostile-strings.json").read_text())
        kind, error = stub.invoke('{"awslogs":{"data":"!!"}}')
        assert kind == "error" and "awslogs.data is not base64" in error["errorMessage"]

        lines = [json.loads(line) for line in stub.log().splitlines()]
        handled, failed = [line for line in lines if line.get("message") in ("handled", "failed")]
        assert (handled["level"], handled["message"], handled["Matched"], handled["requestId"]) == ("INFO", "handled", 7, REQUEST_ID)
        assert (failed["level"], failed["message"], failed["Matched"], failed["requestId"]) == ("ERROR", "failed", 0, REQUEST_ID)
        assert "Invalid symbol" in failed["error"]
        for line in lines:
            # Without a time of its own Lambda takes any line for INFO.
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["timestamp"])
        for line in (handled, failed):
            assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "RootUsageAlert"
            assert line["FunctionName"] == "f" and line["LogEvents"] == line["ignored"] + line["Matched"]
        for content in ["198.51.100.77", "AKIA", "evil", "CreateUser", "nimda", "111122223333"]:
            assert content not in stub.log()


def test_metrics_can_be_switched_off(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN], METRICS="off") as stub:
        stub.invoke(ROOT_EVENT)
        assert "_aws" not in stub.log() and '"Matched":2' in stub.log()


def test_the_closing_line_keeps_to_the_log_level_where_it_has_no_metrics(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN], METRICS="off", AWS_LAMBDA_LOG_LEVEL="ERROR") as stub:
        stub.invoke(ROOT_EVENT)
        assert stub.log() == ""
        stub.invoke('{"awslogs":{"data":"!!"}}')
        assert '"message":"failed"' in stub.log()


def test_a_test_is_mailed_and_can_be_told_from_an_alert(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN]) as stub:
        kind, report = stub.invoke('{"test":{}}')
        assert (kind, report["mails"], report["matched"]) == ("response", 1, 0)
        (published,) = stub.published
        assert published["Subject"] == "[TEST] Alerts of f reach you"
        assert json.loads(published["Message"])["email"].startswith("TEST: this mail reports no root activity.")


def test_a_wrong_configuration_stops_the_start_and_names_every_variable(binary, tmp_path):
    env = environment(tmp_path, RULES="nope", MAX_BATCH_BYTES="1", AWS_LAMBDA_LOG_FORMAT="JSON")
    done = run([str(binary)], env, check=False)

    assert done.returncode != 0
    for name in ["ALERT_TOPIC_ARN is not set", "RULES=", "nope", "MAX_BATCH_BYTES="]:
        assert name in done.stdout
