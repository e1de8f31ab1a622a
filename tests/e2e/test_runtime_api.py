"""The function's binary behind a real Lambda Runtime API: cargo-lambda's."""

import http.server
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

from conftest import (
    BUILD_SECONDS,
    EVENTS,
    FUNCTION_BINARY,
    environment,
    free_port,
    log_data,
    process,
    raw_event,
    run,
    shipped_event,
    shipped_events,
    tool,
    wait_for,
)

TOPIC_ARN = "arn:aws:sns:eu-central-1:111122223333:alerts"


class Sns(http.server.ThreadingHTTPServer):
    """Takes what is sent to SNS, answers as SNS does, and remembers it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), SnsRequest)
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class SnsRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(dict(urllib.parse.parse_qsl(body.decode())))
        answer = (
            b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
            b"<MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult>"
            b"<ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata>"
            b"</PublishResponse>"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def sns():
    with Sns() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def invoke(sns, tmp_path_factory):
    """Invoke the function under `cargo lambda watch` with an event in a file."""
    scratch = tmp_path_factory.mktemp("runtime-api")
    cargo_lambda = tool("cargo-lambda", "tools")
    port = free_port()
    env = environment(scratch, AWS_ENDPOINT_URL_SNS=sns.url, ALERT_TOPIC_ARN=TOPIC_ARN, HISTORY_MINUTES="0")
    # `watch` gives the function's build to the first invocation: done here, it has its own deadline.
    run(["cargo", "build", "--quiet", "--bin", FUNCTION_BINARY], env, seconds=BUILD_SECONDS)
    watch = [cargo_lambda, "lambda", "watch", "--bin", FUNCTION_BINARY, "--ignore-changes"]
    address = ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    log = scratch / "watch.log"

    def listening():
        if watching.poll() is not None:
            pytest.fail(f"cargo lambda watch ended at its start:\n{log.read_text()}", pytrace=False)
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError:
            return True  # an answer, whatever it says
        except OSError:
            return False
        return True

    def invoke(event):
        command = [cargo_lambda, "lambda", "invoke", FUNCTION_BINARY, *address, "--data-file", str(event)]
        return run(command, env, check=False)

    with process([*watch, *address], env, log) as watching:
        wait_for("cargo lambda watch to answer", listening, 60)
        yield invoke


LIMITED = {"root-sign-in-failed", "sign-in-blocked", "sign-in-spray", "ten-failed-sign-ins", "unreadable-only"}


@pytest.mark.parametrize("name, expect", shipped_events().items())
def test_event_is_published_when_it_has_something_to_report(name, expect, invoke, sns):
    before = len(sns.requests)

    done = invoke(EVENTS / f"{name}.json")

    assert done.returncode == 0, done.stderr
    published = sns.requests[before:]
    report = json.loads(done.stdout)
    # Of what anyone can cause without end there is one mail in a quarter of an hour.
    assert report["held_back"] == 0 or name in LIMITED, report
    to_tell = expect["matched"] + expect["unreadable"] - report["held_back"]
    assert len(published) == (1 if to_tell > 0 else 0), report
    for request in published:
        assert request["Action"] == "Publish"
        assert request["TopicArn"] == TOPIC_ARN
        # SNS's rule for an e-mail's subject, at its strictest.
        assert 0 < len(request["Subject"]) < 100
        assert all(" " <= letter <= "~" for letter in request["Subject"])
        # One text for each protocol; all of them together have to fit into one message.
        assert request["MessageStructure"] == "json"
        assert len(request["Message"].encode()) <= 256 * 1024
        texts = json.loads(request["Message"])
        assert json.loads(texts["default"])["subject"] == request["Subject"]
        assert "What to do next" in texts["email"]


@pytest.mark.parametrize(
    "event, error, mails",
    [
        ({"awslogs": {"data": "!!"}}, "awslogs.data is not base64", 1),
        # The one before it was mailed less than a quarter of an hour ago.
        ({"awslogs": {"data": "bm90IGd6aXA="}}, "awslogs.data does not hold a whole gzip stream", 0),
        ({"awslogs": {}}, "the event is not a CloudWatch Logs subscription event", 0),
        ({}, "the event is not a CloudWatch Logs subscription event", 0),
    ],
    ids=["no-base64", "no-gzip", "no-data", "no-awslogs"],
)
def test_corrupt_payload_is_an_error_of_the_function(event, error, mails, invoke, sns, tmp_path):
    before = len(sns.requests)
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    done = invoke(file)

    # Only an error makes Lambda retry, and then keep the event in the dead-letter queue.
    assert done.returncode != 0, done.stdout
    # cargo-lambda breaks long lines, and draws a bar before the rest.
    assert error in " ".join(done.stderr.replace("│", " ").split())
    subjects = [request["Subject"] for request in sns.requests[before:]]
    assert subjects == ["[HIGH] A batch could not be read: an unknown log group"] * mails


@pytest.fixture
def new_event(tmp_path):
    """A file with a root sign-in that the function has not seen: it remembers what it has mailed."""
    data = log_data(shipped_event("root-sign-in-without-mfa"))
    for entry in data["logEvents"]:
        entry["message"] = json.dumps(json.loads(entry["message"]) | {"eventID": str(uuid.uuid4())})
    file = tmp_path / "new.json"
    file.write_text(json.dumps(raw_event(data)))
    return file


def test_function_goes_on_after_a_corrupt_payload(invoke, sns, tmp_path, new_event):
    before = len(sns.requests)
    corrupt = tmp_path / "corrupt.json"
    corrupt.write_text('{"awslogs":{"data":"!!"}}')

    assert invoke(corrupt).returncode != 0
    assert invoke(new_event).returncode == 0
    assert len(sns.requests[before:]) == 1


def test_event_that_is_delivered_twice_is_published_once(invoke, sns, new_event):
    before = len(sns.requests)

    assert invoke(new_event).returncode == 0
    assert invoke(new_event).returncode == 0
    assert len(sns.requests[before:]) == 1
