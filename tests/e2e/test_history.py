"""Look-ups in CloudTrail's event history by the function's own process, against a real HTTP endpoint that fails in
every way the network and CloudTrail have. Whatever it does, the mail goes out, and in time.

The last test prints what it measured, and holds the table of docs/failure.md against it.
"""

import contextlib
import http.server
import json
import threading
import time
import urllib.request

import boto3

from conftest import EVENTS, REGION, ROOT, environment, free_port, log_data, process, raw_event, tool, wait_for
from test_function import ROOT_EVENT, TAKEN, binary, function  # noqa: F401 (binary is a fixture)

HISTORY = [json.loads(line) for line in (EVENTS / "history.jsonl").read_text().splitlines()]
TIMEOUT_MS = 3000
# What an invocation may take beside the look-ups: the debug build on a busy machine, the first TLS set-up.
BESIDE_SECONDS = 4


def refusal(code, status=400):
    return lambda handler, body: handler.reply(status, json.dumps({"__type": code, "message": "no"}))


def answer(events, token=None):
    page = {"Events": [{"EventId": each["eventID"], "CloudTrailEvent": json.dumps(each)} for each in events]}
    return json.dumps(page | ({"NextToken": token} if token else {}))


def asked_for(record, body):
    """What LookupEvents does with an attribute and a time range."""
    (attribute,) = body["LookupAttributes"]
    of = {
        "Username": lambda: "root" if record["userIdentity"]["type"] == "Root" else None,
        "AccessKeyId": lambda: record["userIdentity"].get("accessKeyId"),
    }[attribute["AttributeKey"]]()
    at = time.mktime(time.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    return of == attribute["AttributeValue"] and body["StartTime"] <= at <= body["EndTime"]


def faithful(handler, body):
    found = [each for each in HISTORY if asked_for(each, body)]
    found.sort(key=lambda each: each["eventTime"], reverse=True)
    first, size = int(body.get("NextToken", 0)), handler.server.page
    more = str(first + size) if len(found) > first + size else None
    handler.reply(200, answer(found[first : first + size], more))


def throttle_then_answer(handler, body):
    """The first request of each kind is throttled."""
    kind = json.dumps(body["LookupAttributes"])
    if kind not in handler.server.throttled:
        handler.server.throttled.add(kind)
        return refusal("ThrottlingException")(handler, body)
    # The retries took the time that a second page would need.
    handler.server.page = 50
    faithful(handler, body)


def stall(handler, body):
    handler.server.stalled.wait(30)


def break_off(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"Events":[')
    handler.close_connection = True


def garbage(handler, body):
    handler.reply(200, "<html>this is no JSON</html>")


def broken_records(handler, body):
    events = [{"EventId": "x", "CloudTrailEvent": text} for text in ("", "null", '{"eventID":', "[]")]
    handler.reply(200, json.dumps({"Events": events + [{"EventId": "y"}]}))


def endless(handler, body):
    """Page after page, each the same."""
    handler.reply(200, answer(HISTORY[-1:], "again"))


def drip(handler, body):
    """One byte after the other: no single read takes long."""
    text = answer(HISTORY)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for byte in text.encode():
            handler.wfile.write(bytes([byte]))
            handler.server.stalled.wait(0.05)


# What the endpoint does; what the mail says; how many look-ups the metric counts as failed.
FAULTS = [
    ("answers, in pages", faithful, "sign-in from 203.0.113.180: failed", 0),
    ("throttles the first requests", throttle_then_answer, "iam CreateUser: succeeded", 0),
    ("throttles every request", refusal("ThrottlingException"), "had too many look-ups at once", 3),
    ("has more pages than are read", endless, "There is more in us-east-1 than was read", 1),
    ("denies", refusal("AccessDeniedException"), "Allow the function's role cloudtrail:LookupEvents.", 3),
    ("refuses with another error", refusal("InvalidTimeRangeException"), "refused the look-up, InvalidTimeRangeException", 3),
    ("fails (500)", refusal("InternalFailure", 500), "refused the look-up, InternalFailure", 3),
    ("never answers", stall, "gave no answer in time", 3),
    ("answers a byte at a time", drip, "gave no answer in time", 3),
    ("breaks off in the middle", break_off, "broke off or made no sense", 3),
    ("answers something that is not JSON", garbage, "broke off or made no sense", 3),
    ("gives records that can't be read", broken_records, "events of us-east-1 could not be read.", 3),
    ("is not there", None, "could not be reached", 3),
]


class LookupEvents(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((time.monotonic(), self.headers["X-Amz-Target"], self.headers["Authorization"], body))
        self.server.behave(self, body)


@contextlib.contextmanager
def cloudtrail(behave):
    """A CloudTrail endpoint that does what is asked; without that, an address at which nobody listens."""
    if behave is None:
        yield None, f"http://127.0.0.1:{free_port()}"
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LookupEvents)
    server.daemon_threads = True
    server.behave, server.requests, server.throttled, server.stalled, server.page = behave, [], set(), threading.Event(), 8
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stalled.set()
        server.shutdown()


def mail(stub):
    return json.loads(stub.published[-1]["Message"])["email"]


def section(text):
    return text.split("\nWhat else the event history shows:\n")[1].split("\n\n")[0]


def test_every_fault_costs_a_line_and_never_the_mail(binary, tmp_path, capsys):
    rows = []
    for number, (what, behave, says, failures) in enumerate(FAULTS):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        with cloudtrail(behave) as (_, url), function(
            binary, scratch, [TAKEN], HISTORY_MINUTES="60", AWS_ENDPOINT_URL_CLOUDTRAIL=url, HISTORY_TIMEOUT_MS=str(TIMEOUT_MS)
        ) as stub:
            begun = time.monotonic()
            kind, report = stub.invoke(ROOT_EVENT)
            took = time.monotonic() - begun
            assert (kind, report["mails"], report["history_failures"]) == ("response", 1, failures), (what, report, section(mail(stub)))
            assert took < TIMEOUT_MS / 1000 + BESIDE_SECONDS, what
            assert says in section(mail(stub)), (what, section(mail(stub)))
            assert mail(stub).startswith("Root created an access key"), what
            rows.append((what, says, took))
    with capsys.disabled():
        print("\n\nThe event history …            the mail says                                                seconds")
        for what, says, took in rows:
            print(f"{what:30} {says:60} {took:.1f}")
    page = (ROOT / "docs/failure.md").read_text()
    missing = [(what, says) for what, says, _ in rows if f"| {what} | {says}" not in page]
    assert not missing, f"docs/failure.md, The event history: {missing}"


def test_what_is_asked_is_what_lookup_events_takes_and_no_faster_than_it_allows(binary, tmp_path):
    # Two Regions: the event's own and us-east-1.
    event = (EVENTS / "secret-read.json").read_text()
    with cloudtrail(endless) as (server, url), function(binary, tmp_path, [TAKEN], HISTORY_MINUTES="60", AWS_ENDPOINT_URL_CLOUDTRAIL=url) as stub:
        kind, report = stub.invoke(event)

    assert (kind, report["mails"]) == ("response", 1)
    starts = {}
    for at, target, authorization, body in server.requests:
        assert target.endswith(".LookupEvents")
        starts.setdefault(authorization.split("/")[2], []).append(at)
        (attribute,) = body["LookupAttributes"]
        assert attribute["AttributeKey"] in ("Username", "AccessKeyId")
        assert body["EndTime"] - body["StartTime"] in (3600, 90 * 86400 - 3601)
    assert set(starts) == {"eu-central-1", "us-east-1"}
    for region, times in starts.items():
        assert len(times) >= 4, region
        # Three requests never begin within a second; a tenth is for the clocks of two processes.
        assert all(later - first > 0.9 for first, later in zip(times, times[2:])), (region, times)


def test_another_accounts_event_is_not_looked_up(binary, tmp_path):
    data = log_data(json.loads(ROOT_EVENT)) | {"owner": "999999999999"}
    with cloudtrail(faithful) as (server, url), function(binary, tmp_path, [TAKEN], HISTORY_MINUTES="60", AWS_ENDPOINT_URL_CLOUDTRAIL=url) as stub:
        stub.invoke(json.dumps(raw_event(data)))

        assert server.requests == []
        assert section(mail(stub)).startswith("It happened in a different account from the function's")


def test_nothing_is_looked_up_for_a_batch_without_a_match(binary, tmp_path):
    with cloudtrail(faithful) as (server, url), function(binary, tmp_path, [TAKEN], HISTORY_MINUTES="60", AWS_ENDPOINT_URL_CLOUDTRAIL=url) as stub:
        stub.invoke((EVENTS / "iam-user.json").read_text())
        assert (server.requests, stub.published) == ([], [])


def test_the_emulators_own_event_history_is_read(binary, tmp_path):
    """The emulator records the calls that are made to it, under their access key, and none of them as root's."""
    key = "AKIAIOSFODNN7EXAMPLE"
    url = f"http://127.0.0.1:{(port := free_port())}"
    env = environment(
        tmp_path,
        AWS_ENDPOINT_URL=url,
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_REGION=REGION,
        CLOUDTRAIL_RECORDING="1",
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        TMPDIR=str(tmp_path),
    )

    def healthy():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{url}/_ministack/health", timeout=5).status == 200

    with process([tool("ministack", "tools")], env, tmp_path / "ministack.log"):
        wait_for("ministack to answer", healthy, 30)
        sqs = boto3.client("sqs", endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key="x")
        sqs.create_queue(QueueName="made-before-the-alert")
        record = {
            "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": "eve", "accessKeyId": key},
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1)),
            "eventSource": "cloudtrail.amazonaws.com",
            "eventName": "DeleteTrail",
            "awsRegion": REGION,
            "eventID": "own",
            "recipientAccountId": "111122223333",
        }
        data = log_data(json.loads(ROOT_EVENT))
        data["logEvents"] = [{"id": "1", "timestamp": int(time.time() * 1000), "message": json.dumps(record)}]
        with function(
            binary,
            tmp_path,
            [TAKEN],
            HISTORY_MINUTES="60",
            AWS_ENDPOINT_URL_CLOUDTRAIL=url,
            RULE_PATTERN='{ $.eventName = "DeleteTrail" }',
        ) as stub:
            kind, report = stub.invoke(json.dumps(raw_event(data)))
            text = section(mail(stub))
            assert (kind, report["mails"], report["history_failures"]) == ("response", 1, 0), text
            assert f"{REGION}: sqs CreateQueue: succeeded" in text and "Other source IPs: 127.0.0.1" in text, text
