"""Every fault that an operator can meet, made to happen: what they see of it, and whether anything is lost.

The rows are the table of docs/failure.md, "Faults": a row there that no test makes, or the other way round, fails.
"""

import base64
import contextlib
import dataclasses
import gzip
import http.server
import json
import re
import threading
import typing
import urllib.parse
import uuid

import pytest

from conftest import EVENTS, ROOT, environment, free_port, log_data, raw_event, run, shipped_event
from instances import create_table, refusing_dynamodb
from test_function import ROOT_EVENT, TAKEN, binary, function, refusal  # noqa: F401 (binary is a fixture)

REPLAY = "no: Lambda tries again, then it is in the queue"
AT_ONCE = "no: each delivery is mailed at once, and may repeat an earlier mail"
PAGED = "the page, not the mail: it is not tried again, and an alarm says that nobody was paged"
PAGER = "arn:aws:sns:us-west-2:444455556666:pager"
WITHOUT_LEDGER = "The table that remembers incidents could not be used"
CRITICAL = "Root created an access key"


@dataclasses.dataclass
class Fault:
    what: str
    """The fault, as the table has it."""
    sees: str
    """What the operator sees: a text that has to be there."""
    lost: str
    """Whether anything is lost; `REPLAY` is proved by invoking again once SNS is well."""
    where: str = "error"
    """Where they see it: the invocation's `error`, the `mail`, the function's `log`, or nowhere (`report`)."""
    event: typing.Any = ROOT_EVENT
    sns: list = dataclasses.field(default_factory=lambda: [TAKEN])
    env: dict = dataclasses.field(default_factory=dict)
    before: list = dataclasses.field(default_factory=list)
    """Events that come before it, each answered."""
    mails: int | None = None
    """How many mails the event itself makes."""
    table: str | None = None
    """What the function's table is: `there`, `unreachable`, `silent`, or the code of the error that it answers with; `None`
    where `QuietMinutes` is 0."""
    silent_topic: str | None = None
    """The topic for which SNS takes a message and never answers."""
    waits: int = 0
    """How many log events wait in the table after it, and are told when they are due."""


def altered(change):
    """The event with its compressed bytes changed."""
    data = bytearray(base64.b64decode(json.loads(ROOT_EVENT)["awslogs"]["data"]))
    return json.dumps({"awslogs": {"data": base64.b64encode(change(data)).decode()}})


def wrong_checksum(data):
    data[-8] ^= 1
    return data


def with_messages(*messages):
    data = log_data(json.loads(ROOT_EVENT))
    data["logEvents"] = [{"id": str(n), "timestamp": 1795143129000, "message": text} for n, text in enumerate(messages)]
    return json.dumps(raw_event(data))


def sign_in_failed(number):
    (entry,) = log_data(shipped_event("root-sign-in-failed"))["logEvents"]
    return with_messages(json.dumps(json.loads(entry["message"]) | {"eventID": f"id-{number}"}))


# More than the smallest limit that can be set, 1 MiB: the two records, and spaces after them.
TOO_LARGE = json.dumps(
    {"awslogs": {"data": base64.b64encode(gzip.compress(
        json.dumps(log_data(json.loads(ROOT_EVENT))).encode()[:-2] + b" " * (2 << 20) + b"]}")).decode()}}
)
BROKEN = with_messages('{"eventName":"Cut","userIdentity":{"type":"Root"', '{"eventName":"Other","x":', *[
    entry["message"] for entry in log_data(json.loads(ROOT_EVENT))["logEvents"]
])

FAULTS = [
    Fault("SNS throttles", "Lambda will try again", REPLAY, sns=[refusal(400, "Throttling", "Rate exceeded")]),
    Fault("SNS fails (500)", "Lambda will try again", REPLAY, sns=[refusal(500, "InternalError")]),
    Fault("SNS can't be reached", "Lambda will try again", REPLAY, env={"AWS_ENDPOINT_URL_SNS": "nowhere"}),
    Fault("SNS accepts the connection and never answers", "timeout", REPLAY, env={"AWS_ENDPOINT_URL_SNS": "silent"}),
    Fault("SNS accepts the mail and its answer is lost", "Possible duplicate", "no: it may come twice, with the same alert id",
          "mail", env={"AWS_ENDPOINT_URL_SNS": "lossy"}),
    Fault("the topic is gone", "there is no such topic", REPLAY, sns=[refusal(404, "NotFound", "Topic does not exist")]),
    Fault("the role may not publish", "the function's role needs sns:Publish on the topic", REPLAY,
          sns=[refusal(403, "AuthorizationError", "not authorized to perform: SNS:Publish")]),
    Fault("the role may not use the topic's key", "kms:GenerateDataKey* and kms:Decrypt", REPLAY,
          sns=[refusal(400, "KMSAccessDenied")]),
    Fault("the topic's key is disabled", "the topic's key must be enabled", REPLAY, sns=[refusal(400, "KMSDisabled")]),
    Fault("SNS does not know the topic's ARN", "ALERT_TOPIC_ARN is not the ARN of a topic that SNS knows", REPLAY,
          sns=[refusal(400, "InvalidParameter", "Invalid parameter: TopicArn")]),
    Fault("the function's credentials are refused", "it does not accept the function's credentials", REPLAY,
          sns=[refusal(403, "InvalidClientTokenId")]),
    Fault("SNS refuses this message", "SNS refused the whole alert", "the details, not who, what, where and when", "mail",
          sns=[refusal(400, "InvalidParameter", "Invalid parameter: Message too long"), TAKEN], mails=1),
    Fault("the batch is not base64", "awslogs.data is not base64", "no: a mail reports it, and it is in the queue",
          event=json.dumps({"awslogs": {"data": "!!"}}), mails=1),
    Fault("the batch is not gzip", "does not hold a whole gzip stream", "no: a mail reports it, and it is in the queue",
          event=json.dumps({"awslogs": {"data": "bm90IGd6aXA="}}), mails=1),
    Fault("the batch breaks off", "it breaks off", "no: what came before is mailed, a second mail reports the rest, and it is in the queue",
          event=altered(lambda data: data[:-8]), mails=2),
    Fault("the batch's checksum is wrong", "does not hold a whole gzip stream",
          "no: all of it is mailed, a second mail reports the fault", event=altered(wrong_checksum), mails=2),
    Fault("the batch inflates to more than MAX_BATCH_BYTES", "MAX_BATCH_BYTES sets this limit",
          "no: what fits is mailed, a second mail reports the rest, and it is in the queue",
          event=TOO_LARGE, env={"MAX_BATCH_BYTES": str(1 << 20)}, mails=2),
    Fault("the batch is not JSON", "does not hold a CloudWatch Logs batch", "no: a mail reports it, and it is in the queue",
          event=json.dumps({"awslogs": {"data": base64.b64encode(gzip.compress(b"hello")).decode()}}), mails=1),
    Fault("somebody invokes the function with another event", "the event is not a CloudWatch Logs subscription event", "nothing was there",
          event='{"key1":"value1"}', mails=0),
    Fault("a log event is damaged and holds the text `Root`", "Log events that could not be read: 1", "no: the others are reported as usual",
          "mail", event=BROKEN, mails=1),
    Fault("log events from something other than CloudTrail arrive by the hundred", "log event could not be read",
          "no: they are one incident, and its updates give the number", "mail", before=[with_messages("Root 0")],
          event=with_messages("Root 1"), mails=0, table="there", waits=1),
    Fault("with `QuietMinutes=0`, log events from something else arrive by the hundred", "log event could not be read",
          "no: one mail in 15 minutes, and the next one gives the number", "mail", before=[with_messages("Root 0")],
          event=with_messages("Root 1"), mails=0),
    Fault("bots try to sign in as root all day", "Someone tried to sign in to the console of account",
          "no: they are one incident of the whole stack, and its updates give the number", "mail", before=[sign_in_failed(0)],
          event=sign_in_failed(1), mails=0, table="there", waits=1),
    Fault("with `QuietMinutes=0`, bots try to sign in as root all day", "Someone tried to sign in to the console of account",
          "no: one mail in 15 minutes, and the next one gives the number", "mail", before=[sign_in_failed(0)],
          event=sign_in_failed(1), mails=0),
    Fault("a record is delivered twice", '"duplicate":2', "no: one mail within 30 days, whichever function instance gets it", "report",
          before=[ROOT_EVENT], mails=0, table="there"),
    Fault("with `QuietMinutes=0`, a record is delivered twice", '"duplicate":2', "no: one mail, while the same function instance runs", "report",
          before=[ROOT_EVENT], mails=0),
    Fault("DynamoDB can't be reached", WITHOUT_LEDGER, AT_ONCE, "mail", mails=1, table="unreachable"),
    Fault("DynamoDB throttles", "it was asked too much", AT_ONCE, "log", mails=1, table="ThrottlingException"),
    Fault("DynamoDB accepts the connection and never answers", "is asked again in a minute", AT_ONCE, "log", mails=1, table="silent"),
    Fault("the table is gone", "there is no such table: deploy the stack again", AT_ONCE, "log", mails=1,
          table="ResourceNotFoundException"),
    Fault("the role, or the table's policy, denies the function its table", "the function's role needs the permissions of the statement KeepIncidents",
          AT_ONCE, "log", mails=1, table="AccessDeniedException"),
    Fault("bots try to sign in as root all day, and the table can't be used", "the ledger that would keep the rest fails", REPLAY,
          before=[sign_in_failed(0)], event=sign_in_failed(1), mails=0, table="ThrottlingException"),
    Fault("a record is delivered twice, and the table can't be used", WITHOUT_LEDGER, AT_ONCE, "mail", before=[ROOT_EVENT], mails=1,
          table="ThrottlingException"),
    Fault("the pager's topic refuses, or is gone", "the pager was not told of what was mailed", PAGED,
          "log", sns=[TAKEN, refusal(404, "NotFound", "Topic does not exist")], env={"PAGER_TOPIC_ARN": PAGER}, mails=1),
    Fault("the pager's topic fails", "the pager was not told of what was mailed", PAGED,
          "log", sns=[TAKEN, refusal(500, "InternalError")], env={"PAGER_TOPIC_ARN": PAGER}),
    Fault("the pager's topic never answers", "it is not tried again", PAGED, "log",
          env={"PAGER_TOPIC_ARN": PAGER}, silent_topic=PAGER),
    Fault("a record arrives days late, or corrected", "CloudTrail delivered a record late or again (DELIVERY_DELAY)", "no", "mail",
          event=(EVENTS / "late-with-addendum.json").read_text(), mails=1),
    Fault("the event history can't be looked up", "What else the event history shows", "no: the mail says what is missing", "mail",
          env={"HISTORY_MINUTES": "60", "AWS_ENDPOINT_URL_CLOUDTRAIL": "nowhere"}, mails=1),
]


class Lossy(http.server.BaseHTTPRequestHandler):
    """Takes every message; answers none of the first invocation's."""

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.taken.append(body)
        if self.server.silent:
            self.server.released.wait(60)
            return
        if self.server.answer_lost:
            self.close_connection = True
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(TAKEN[1].encode())


class Endpoint:
    """An address where nobody listens (`nowhere`), nobody answers (`silent`), or answers are lost (`lossy`)."""

    def __init__(self, kind):
        self.kind, self.server, self.port = kind, None, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        if kind != "nowhere":
            self.listen()

    def listen(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Lossy)
        self.server.daemon_threads = True
        self.server.taken, self.server.released = [], threading.Event()
        self.server.silent, self.server.answer_lost = self.kind == "silent", self.kind == "lossy"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def recover(self):
        """From now on it takes messages, and says so."""
        if self.server is None:
            self.listen()
        self.server.silent = self.server.answer_lost = False
        self.server.released.set()

    def close(self):
        if self.server:
            self.server.released.set()
            self.server.shutdown()


@contextlib.contextmanager
def table(kind, emulator):
    """The variables of a function whose table is of that kind."""
    if kind is None:
        yield {}
    elif kind == "there":
        client, name = emulator.client("dynamodb"), f"ledger-{uuid.uuid4().hex}"
        create_table(client, name)
        yield {"LEDGER_TABLE": name, "AWS_ENDPOINT_URL_DYNAMODB": emulator.url}
        client.delete_table(TableName=name)
    elif kind == "unreachable":
        yield {"LEDGER_TABLE": "ledger", "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{free_port()}"}
    else:
        with refusing_dynamodb(None if kind == "silent" else kind) as url:
            yield {"LEDGER_TABLE": "ledger", "AWS_ENDPOINT_URL_DYNAMODB": url}


def mails(stub):
    """The texts of the mails, a plain one as it is."""
    for published in stub.published:
        message = published["Message"]
        yield json.loads(message)["email"] if "MessageStructure" in published else message


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_is_seen_and_nothing_is_lost(fault, binary, tmp_path, emulator):
    with contextlib.ExitStack() as stack:
        env, endpoint = fault.env | stack.enter_context(table(fault.table, emulator)), None
        for name, value in env.items():
            if value in ("nowhere", "silent", "lossy"):
                endpoint = stack.enter_context(contextlib.closing(Endpoint(value)))
                env[name] = endpoint.url
        stub = stack.enter_context(function(binary, tmp_path, fault.sns, **env))
        stub.silent_topic = fault.silent_topic
        for event in fault.before:
            assert stub.invoke(event)[0] == "response"
        before = len(stub.published)

        kind, answer = stub.invoke(fault.event)

        if fault.mails is not None:
            taken = [published for published in stub.published[before:]]
            refused = sum(1 for status, _ in fault.sns if status != 200)
            assert len(taken) - refused == fault.mails, list(mails(stub))
        if endpoint and endpoint.kind == "lossy":
            # The answer to the first was lost; what Lambda tries again says so.
            assert kind == "error"
            endpoint.recover()
            kind, answer = stub.invoke(fault.event)
            assert kind == "response" and fault.sees in urllib.parse.unquote_plus(endpoint.server.taken[-1])
            return
        seen = {
            "error": lambda: answer["errorMessage"],
            "mail": lambda: "\n".join(mails(stub)),
            "log": stub.log,
            "report": lambda: json.dumps(answer, separators=(",", ":")),
        }
        assert kind == ("error" if fault.where == "error" else "response"), answer
        assert fault.sees in seen[fault.where](), seen[fault.where]()
        if fault.lost == PAGED:
            assert (answer["mails"], answer["pages"], answer["pager_failures"]) == (1, 0, 1)
            assert next(mails(stub)).startswith(CRITICAL) and '"PagerFailures":1' in stub.log()
        if fault.lost == AT_ONCE:
            # All of it, though it was told before; and whoever looks for the reason finds it.
            assert (answer["matched"], answer["duplicate"]) == (2, 0) and WITHOUT_LEDGER in list(mails(stub))[-1]
            failed = [json.loads(line) for line in stub.log().splitlines() if "the ledger failed" in line]
            assert failed and {line["level"] for line in failed} == {"ERROR"}
        if fault.waits:
            assert answer["waiting"] == fault.waits
            before = len(stub.published)
            assert stub.invoke('{"tick":{"all":true}}')[1]["mails"] == len(stub.published) - before == 1
        if fault.lost == REPLAY and fault.table is None:
            stub.sns_answers = [TAKEN]
            if endpoint:
                endpoint.recover()
            again = stub.invoke(fault.event)
            assert (again[0], again[1]["matched"], again[1]["mails"]) == ("response", 2, 1)
        if fault.lost == REPLAY and fault.table is not None:
            # The table is well again. It was left alone for a minute, so another instance finds out first.
            env = stack.enter_context(table("there", emulator))
            well = stack.enter_context(function(binary, tmp_path, [TAKEN], **env))
            again = well.invoke(fault.event)
            assert (again[0], again[1]["matched"], again[1]["mails"]) == ("response", 1, 1)
        if fault.where == "error" and fault.mails == 2:
            assert next(mails(stub)).startswith(CRITICAL)


def test_a_wrong_setting_stops_the_start(binary, tmp_path):
    done = run([str(binary)], environment(tmp_path, RULES="nope", AWS_LAMBDA_LOG_FORMAT="JSON"), check=False)
    assert done.returncode != 0 and 'RULES=' in done.stdout and "ALERT_TOPIC_ARN is not set" in done.stdout


def test_the_page_has_each_of_these_and_no_other():
    section = (ROOT / "docs/failure.md").read_text().split("\n## Faults\n")[1].split("\n##")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in section.splitlines() if line.startswith("| ")]
    (header, *rows) = [tuple(cell.strip() for cell in row) for row in rows]
    told = {row[0]: row for row in rows if not re.fullmatch("-+", row[0])}
    made = {fault.what: fault for fault in FAULTS}
    assert set(made) == set(told) - {"a variable of the function is wrong"}
    assert len(made) >= 30
    for what, fault in made.items():
        assert fault.sees.replace('"', '') in told[what][1].replace("`", ""), what
        assert told[what][2] == fault.lost, what
