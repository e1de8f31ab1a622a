"""What somebody makes up to break the function: what comes of it, and how much memory it takes.

The binary is the one that is deployed, behind a stub of the Runtime API. The most memory that it may ever have used is
less than the least that Lambda gives a function, 128 MB with all else that runs in there: so it never ends for lack of it.
"""

import base64
import dataclasses
import gzip
import json
import os
import typing
import uuid
import zlib

import pytest

from conftest import log_data, shipped_event
from test_function import TAKEN, function

MEMORY_MAX = 96 << 20
# CloudWatch Logs sends at most 1 MB; with some air, for what people send by hand.
EVENT_MAX = 3 << 19

DEEP = 10_000
MANY = 100_000
UNREADABLE = "[HIGH] 111122223333: 1 CloudTrail log event could not be read"
DAMAGED = "[HIGH] A batch could not be read: "

RECORD = json.loads(log_data(shipped_event("create-access-key"))["logEvents"][1]["message"])
ROOT = json.dumps(RECORD)
OTHER = json.dumps(RECORD | {"userIdentity": {"type": "IAMUser"}})
# With less in it no record would match.
SHORT = '{"userIdentity":{"type":"Root"}}'


def log_event(message, number=0):
    return json.dumps({"id": str(number), "timestamp": 1795143129000 + number, "message": message})


def document(*log_events, **fields):
    """The JSON that CloudWatch Logs compresses; log events are given as JSON text, to be odd."""
    head = {"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "stream"}
    head = json.dumps(head | {"subscriptionFilters": ["f"]} | fields)
    return f'{head[:-1]}, "logEvents": [{",".join(log_events)}]}}'


def gzipped(content):
    return gzip.compress(content if isinstance(content, bytes) else content.encode(), 6, mtime=0)


def raw(compressed):
    return json.dumps({"awslogs": {"data": base64.b64encode(compressed).decode()}})


def batch(*log_events, **fields):
    return raw(gzipped(document(*log_events, **fields)))


def messages(*texts):
    return batch(*(log_event(text, number) for number, text in enumerate(texts)))


def bomb(mebibytes):
    """A record, and spaces after it."""
    head = document(log_event(ROOT)).removesuffix("]}").encode()
    compressor = zlib.compressobj(wbits=31)
    parts = [compressor.compress(head)]
    parts += [compressor.compress(b" " * (1 << 20)) for _ in range(mebibytes)]
    return raw(b"".join(parts) + compressor.flush())


def nested(text, levels=DEEP):
    return "[" * levels + text + "]" * levels


def halves(content):
    return content[: len(content) // 2], content[len(content) // 2 :]


def numbered(count, **fields):
    """Records that are short, and no repetition of each other."""
    for number in range(count):
        record = {"userIdentity": {"type": "Root"}, "eventName": "ListUsers", "eventID": f"{number:06}"}
        yield json.dumps(record | fields, separators=(",", ":"))


def numbered_like(record, count):
    return (json.dumps(record | {"eventID": f"{number:06}"}) for number in range(count))


def altered(change, content=None):
    compressed = bytearray(gzipped(content or document(log_event(ROOT))))
    change(compressed)
    return raw(bytes(compressed))


def wrong_checksum(compressed):
    compressed[-8] ^= 1


def in_base64(change):
    """The event with its base64 text changed."""
    # Noise compresses to nothing less, so that every character of base64 is there.
    noise = "".join(uuid.uuid5(uuid.NAMESPACE_URL, str(number)).hex for number in range(100))
    event = json.loads(messages(ROOT, noise))
    return json.dumps({"awslogs": {"data": change(event["awslogs"]["data"])}})


def url_safe(data):
    assert "+" in data and "/" in data
    return data.replace("+", "-").replace("/", "_")


def in_lines(data):
    return "\n".join(data[start : start + 76] for start in range(0, len(data), 76))


@dataclasses.dataclass
class Row:
    what: str
    event: typing.Callable[[], str]
    counts: tuple | None = None
    """Log events that are ignored, matched, duplicate, unreadable; none if the invocation has to fail."""
    error: str = ""
    """What the error says, if it has to fail."""
    mails: int | None = 0
    """How many there are; None where that depends on how many records one mail has room for, or on gzip."""
    subject: str = ""
    """How the last mail's subject begins."""


ROWS = [
    Row("1 MB that inflates to 1 GB", lambda: bomb(1 << 10), error="MAX_BATCH_BYTES sets this limit", mails=2, subject=DAMAGED),
    Row("the same in 64 gzip members",
        lambda: raw(gzipped(document(log_event(ROOT)).removesuffix("]}")) + gzipped(b" " * (16 << 20)) * 64),
        error="MAX_BATCH_BYTES sets this limit", mails=2, subject=DAMAGED),
    Row("a record 10,000 levels deep", lambda: messages(f'{SHORT[:-1]},"x":{nested("0")}}}', ROOT), (0, 1, 0, 1), mails=1),
    Row("the same, nobody's", lambda: messages(nested("0"), ROOT), (1, 1, 0, 0), mails=1),
    Row("a record that opens 500,000 levels", lambda: messages(SHORT[:-1] + ',"x":' + "[" * 500_000, ROOT), (0, 1, 0, 1), mails=1),
    Row("a log event 10,000 levels deep", lambda: batch(nested('"Root"'), log_event(ROOT)), (0, 1, 0, 1), mails=1),
    Row("a document 10,000 levels deep", lambda: raw(gzipped(nested("0"))), error="a JSON object expected", mails=1, subject=DAMAGED),
    Row("a field of it 10,000 levels deep",
        lambda: raw(gzipped(f'{{"x":{nested("0")},{document(log_event(ROOT))[1:]}')), (0, 1, 0, 0), mails=1),
    Row("a name of a log group 10,000 levels deep",
        lambda: raw(gzipped(f'{document(log_event(ROOT))[:-1]},"logGroup":{nested("0")}}}')), (0, 1, 0, 0), mails=1),
    Row("an event 10,000 levels deep", lambda: nested("0"), error="not a CloudWatch Logs subscription event"),
    Row("awslogs 10,000 levels deep", lambda: f'{{"awslogs":{nested("0")}}}', error="not a CloudWatch Logs subscription event"),
    Row("a test 10,000 levels deep", lambda: f'{{"test":{nested("0")}}}', error="not a CloudWatch Logs subscription event"),
    Row("a matching record of 1 MB", lambda: messages(json.dumps(RECORD | {"requestParameters": {"x": "y" * 1_000_000}})), (0, 1, 0, 0), mails=1),
    Row("a record of 1 MB that doesn't match", lambda: messages(json.dumps({"Root": "y" * 1_000_000})), (1, 0, 0, 0)),
    Row("a matching record with 500,000 numbers", lambda: messages(ROOT[:-1] + ',"x":[' + "0," * 499_999 + "0]}"), (0, 1, 0, 0), mails=1),
    Row("a matching record with 80,000 fields",
        lambda: messages(ROOT[:-1] + "".join(f',"{number}":0' for number in range(80_000)) + "}"), (0, 1, 0, 0), mails=1),
    Row("a record of 32 MB, more than CloudWatch Logs has",
        lambda: messages(ROOT[:-1] + ',"x":[' + "0," * 16_000_000 + "0]}", OTHER), (1, 0, 0, 1), mails=1, subject=UNREADABLE),
    Row("bytes that are not UTF-8",
        lambda: raw(gzipped(document(log_event(json.dumps(RECORD | {"userAgent": "@@"}))).encode().replace(b"@@", b"\xff\xfe\xed\xa0\x80"))),
        (0, 1, 0, 0), mails=1),
    Row("half a surrogate pair", lambda: messages(json.dumps(RECORD | {"userAgent": "\ud800"}), ROOT), (0, 1, 0, 1), mails=1),
    Row("NUL as an escape", lambda: messages(json.dumps(RECORD | {"userAgent": "a\0b"})), (0, 1, 0, 0), mails=1),
    Row("NUL as a byte", lambda: raw(gzipped(document(log_event(json.dumps(RECORD | {"userAgent": "@@"}))).replace("@@", "\0"))),
        (0, 0, 0, 1), mails=1, subject=UNREADABLE),
    Row("NUL in front of the document", lambda: raw(gzipped("\0" + document(log_event(ROOT)))), error="a JSON object expected",
        mails=2, subject=DAMAGED),
    Row("a key twice, the last is Root", lambda: messages('{"userIdentity":{"type":"IAMUser"},' + SHORT[1:]), (0, 1, 0, 0), mails=1),
    Row("a key twice, the first is Root", lambda: messages(SHORT[:-1] + ',"userIdentity":{"type":"IAMUser"}}'), (1, 0, 0, 0)),
    Row("a log event with two messages", lambda: batch(log_event(OTHER)[:-1] + "," + log_event(ROOT)[1:]), (0, 0, 0, 1), mails=1, subject=UNREADABLE),
    Row("two lists of log events",
        lambda: raw(gzipped(f'{document(log_event(OTHER))[:-1]},"logEvents":[{log_event(ROOT)}]}}')), (1, 1, 0, 0), mails=1),
    Row("1e999999", lambda: messages(ROOT[:-1] + ',"x":1e999999,"eventTime":1e999999}'), (0, 1, 0, 0), mails=1),
    Row("a number of 4,000 digits", lambda: messages(ROOT[:-1] + f',"x":{"9" * 4000},"recipientAccountId":{"9" * 4000}}}'), (0, 1, 0, 0), mails=1),
    Row("a timestamp that is no time", lambda: batch(*(f'{{"id":{odd},"timestamp":{odd},"message":{json.dumps(ROOT)}}}' for odd in
        ("1e999999", "9" * 4000, "-9223372036854775808"))), (0, 1, 2, 0), mails=1),
    Row("gzip with bytes after it", lambda: altered(lambda data: data.extend(b"more")), error="4 bytes follow that are not gzip", mails=2, subject=DAMAGED),
    Row("empty gzip members around it", lambda: raw(gzipped("") * 3 + gzipped(document(log_event(ROOT))) + gzipped("") * 3), (0, 1, 0, 0), mails=1),
    Row("50,000 empty gzip members", lambda: raw(gzipped("") * 50_000), error="a JSON object expected", mails=1, subject=DAMAGED),
    Row("two gzip members", lambda: raw(b"".join(gzipped(half) for half in halves(document(log_event(ROOT))))), (0, 1, 0, 0), mails=1),
    Row("a member for each byte", lambda: raw(b"".join(gzipped(byte) for byte in document(log_event(ROOT)))), (0, 1, 0, 0), mails=1),
    Row("gzip with another checksum", lambda: altered(wrong_checksum), error="does not hold a whole gzip stream", mails=2, subject=DAMAGED),
    Row("gzip that breaks off", lambda: altered(lambda data: data.__delitem__(slice(-9, None))), error="it breaks off", mails=2, subject=DAMAGED),
    Row("base64 for URLs", lambda: in_base64(url_safe), error="awslogs.data is not base64", mails=None, subject=DAMAGED),
    Row("base64 in lines", lambda: in_base64(in_lines), error="awslogs.data is not base64", mails=1, subject=DAMAGED),
    Row("100,000 log events, none matches", lambda: messages(*numbered(MANY, userIdentity={"type": "IAMUser"})), (MANY, 0, 0, 0)),
    Row("100,000 log events, all match", lambda: messages(*numbered(MANY)), (0, MANY, 0, 0), mails=None),
    Row("100,000 log events without an id, all match", lambda: messages(*[SHORT] * MANY), (0, MANY, 0, 0), mails=None),
    Row("20,000 times the same record", lambda: messages(*[ROOT] * 20_000), (0, 1, 19_999, 0), mails=1),
    Row("100,000 log events, all unreadable", lambda: messages(*["Root"] * MANY), (0, 0, 0, MANY), mails=1),
    Row("32 MB of whole records, all match", lambda: messages(*numbered_like(RECORD, 27_000)), (0, 27_000, 0, 0), mails=None),
    Row("600,000 log events, all match", lambda: batch(*[f'{{"message":{json.dumps(SHORT)}}}'] * 600_000), error="the end of the log events that may match", mails=None, subject=DAMAGED),
    Row("4,000,000 log events, all unreadable", lambda: batch(*['"Root"'] * 4_000_000), error="the end of the log events that may match", mails=2, subject=DAMAGED),
    Row("32 MB of whole records, and 500,000 numbers in the last",
        lambda: messages(*numbered_like(RECORD, 26_000), ROOT[:-1] + ',"x":[' + "0," * 499_999 + "0]}"), (0, 26_001, 0, 0), mails=None),
    Row("a control message", lambda: batch(log_event("CWL CONTROL MESSAGE: Checking health of destination"),
        messageType="CONTROL_MESSAGE", owner="CloudwatchLogs", logGroup="", logStream="", subscriptionFilters=[]), (1, 0, 0, 0)),
    Row("null for everything but the log events",
        lambda: batch(log_event(ROOT), messageType=None, owner=None, logGroup=None, logStream=None, subscriptionFilters=None), (0, 1, 0, 0), mails=1),
    Row("null for a log event's fields", lambda: batch(f'{{"id":null,"timestamp":null,"message":{json.dumps(ROOT)}}}',
        '{"id":"Root","timestamp":0,"message":null}', "null", '{"Root":null}'), (1, 1, 0, 2), mails=1),
    Row("null for a record's fields", lambda: messages(json.dumps({name: None for name in RECORD} | {"userIdentity": {"type": "Root", "arn": None}})),
        (0, 1, 0, 0), mails=1),
    Row("null for a record's identity", lambda: messages(json.dumps(RECORD | {"userIdentity": None, "x": "Root"}), "null"), (2, 0, 0, 0)),
    Row("null for the log events", lambda: raw(gzipped('{"logEvents":null}')), error="an array of log events expected", mails=1, subject=DAMAGED),
    Row("null for the data", lambda: '{"awslogs":{"data":null}}', error="not a CloudWatch Logs subscription event"),
    Row("null", lambda: "null", error="not a CloudWatch Logs subscription event"),
]


def peak(pid):
    """The most memory that the process ever had, in bytes. Source: Linux, proc_pid_status(5), VmHWM."""
    with open(f"/proc/{pid}/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def cpu(pid):
    """The seconds of CPU that the process has taken. Source: Linux, proc_pid_stat(5), utime and stime."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def deployed(built_template):
    return built_template.parent / "AlertFunction" / "bootstrap"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_hostile_input_is_reported_and_bounded(row, deployed, tmp_path, table):
    event = row.event()
    assert len(event) <= EVENT_MAX, len(event)

    with function(deployed, tmp_path, [TAKEN]) as stub:
        before = cpu(stub.pid)
        kind, answer = stub.invoke(event)
        memory, took = peak(stub.pid), cpu(stub.pid) - before

        # With 512 MB the function has 29 % of a processor: 1 second of CPU takes 3.5.
        table("Hostile input: bytes of the event, seconds of CPU, peak memory",
              f"{row.what:56} {len(event):9,} {took:6.2f} {memory / (1 << 20):6.1f} MiB")
        if row.counts is None:
            assert (kind, answer["errorType"]) == ("error", "BatchError"), answer
            assert row.error in answer["errorMessage"]
        else:
            assert kind == "response", answer
            assert tuple(answer[name] for name in ("ignored", "matched", "duplicate", "unreadable")) == row.counts
            assert answer["mails"] == len(stub.published)
        subjects = [published["Subject"] for published in stub.published]
        assert len(subjects) == row.mails if row.mails is not None else subjects, subjects
        assert (subjects or [""])[-1].startswith(row.subject)
        # It goes on.
        kind, answer = stub.invoke(messages(json.dumps(RECORD | {"eventID": "afterwards"})))
        assert (kind, answer["matched"], answer["mails"]) == ("response", 1, 1), answer
        memory = peak(stub.pid)
    assert memory <= MEMORY_MAX, f"{memory / (1 << 20):.1f} MiB"
