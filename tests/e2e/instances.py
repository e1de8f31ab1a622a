"""Several instances of the function over one table, each a process of its own with its own Runtime API and clock.

Between them and the emulator's DynamoDB is a stand-in that can fail or stall any call. Mails go to a stand-in for SNS.
"""

import contextlib
import http.client
import http.server
import itertools
import json
import mmap
import os
import queue
import signal
import struct
import subprocess
import threading
import time
import urllib.parse
import uuid

from conftest import ROOT, environment, run, wait_for

TOPIC = "arn:aws:sns:eu-central-1:111122223333:alerts"
ANSWER_SECONDS = 60
# Lambda tries twice more. Source: Lambda Developer Guide, "Asynchronous invocation".
TRIES = 3


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # In one write: of two the second waits for the other side to acknowledge the first.
    wbufsize = -1

    def log_message(self, *arguments):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status, body, headers=()):
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in dict(headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class Mail:
    """A mail that SNS took."""

    def __init__(self, request, clock):
        self.subject = request["Subject"]
        self.time = clock
        message = request["Message"]
        texts = json.loads(message) if request.get("MessageStructure") == "json" else {"default": "", "email": message}
        self.document = texts["default"]
        self.text = texts["email"]

    def tells(self, record):
        return f'"{record}"' in self.document or record in self.text


class Sns(Handler):
    """Takes every mail, but for the time that it fails."""

    def do_POST(self):
        if self.server.fails:
            self.body()
            return self.reply(500, b"<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>")
        form = {name: value[0] for name, value in urllib.parse.parse_qs(self.body().decode()).items()}
        self.server.times.append(time.monotonic())
        self.server.mails.append(Mail(form, self.server.clock()))
        answer = "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
        self.reply(200, answer.encode(), {"Content-Type": "text/xml"})


class DynamoDb(Handler):
    """Passes calls on, but for those that the test wants to fail."""

    def do_POST(self):
        body = self.body()
        number = next(self.server.numbers)
        operation = self.headers["X-Amz-Target"].split(".")[1]
        self.server.calls.append(operation)
        fault = self.server.fault(number, operation)
        time.sleep(self.server.slow)
        if fault == "fails before":
            return self.reply(500, b'{"__type":"InternalServerError"}')
        if fault == "throttles":
            return self.reply(400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"no"}')
        connection = http.client.HTTPConnection(self.server.emulator, timeout=30)
        connection.request("POST", "/", body, {name: value for name, value in self.headers.items() if name != "Host"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if fault == "fails after":
            return self.reply(500, b'{"__type":"InternalServerError"}')
        if fault == "stalls":
            time.sleep(3)
            self.close_connection = True
            return None
        self.reply(answer.status, text, {"Content-Type": "application/x-amz-json-1.0"})


class Refusing(Handler):
    """DynamoDB that refuses every call in the same way, or answers none while anybody waits for it."""

    def do_POST(self):
        self.body()
        if self.server.refusal is None:
            self.server.released.wait(60)
            self.close_connection = True
            return
        text = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{self.server.refusal}", "message": "no"})
        self.reply(400, text.encode(), {"Content-Type": "application/x-amz-json-1.0"})


@contextlib.contextmanager
def refusing_dynamodb(refusal):
    """Its address. The refusal is an error's code, or None for no answer at all."""
    server = Server(Refusing)
    server.refusal, server.released = refusal, threading.Event()
    try:
        yield server.url
    finally:
        server.released.set()
        server.shutdown()


class Runtime(Handler):
    def do_GET(self):
        self.server.polled.set()
        found = self.server.events.get()
        if found is None:
            return self.reply(500, b"{}")
        request_id, event = found
        self.reply(200, event.encode(), {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.server.ahead()) * 1000) + 30_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:111122223333:function:f",
        })

    def do_POST(self):
        body = self.body()
        self.reply(202, b"{}")
        self.server.answers.put((self.path.rsplit("/", 1)[1], json.loads(body)))


class Instance:
    """One process of the function."""

    def __init__(self, world, number, skew):
        self.world, self.number, self.skew = world, number, skew
        self.file = world.scratch / f"clock-{number}"
        self.file.write_bytes(struct.pack("q", 0))
        with open(self.file, "r+b") as file:
            self.clock = mmap.mmap(file.fileno(), 8)
        self.busy = threading.Lock()
        self.start()

    def start(self):
        self.runtime = Server(Runtime)
        self.runtime.polled = threading.Event()
        self.runtime.events, self.runtime.answers = queue.Queue(), queue.Queue()
        self.runtime.ahead = lambda: self.world.ahead + self.skew
        variables = {
            "ALERT_TOPIC_ARN": TOPIC,
            "HISTORY_MINUTES": "0",
            "AWS_ENDPOINT_URL_SNS": self.world.sns.url,
            "LEDGER_TABLE": self.world.table,
        }
        env = environment(
            self.world.scratch,
            AWS_LAMBDA_RUNTIME_API=self.runtime.url.removeprefix("http://"),
            AWS_LAMBDA_FUNCTION_NAME="f",
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE="512",
            AWS_LAMBDA_FUNCTION_VERSION="1",
            AWS_LAMBDA_LOG_FORMAT="JSON",
            LD_PRELOAD=str(self.world.preload),
            CLOCK_FILE=str(self.file),
            AWS_ENDPOINT_URL_DYNAMODB=self.world.dynamodb.url,
            **variables | self.world.variables,
        )
        self.log = open(self.world.scratch / f"function-{self.number}.log", "ab")
        self.process = subprocess.Popen([self.world.binary], env=env, stdout=self.log, stderr=subprocess.STDOUT)
        wait_for("the function to poll", self.runtime.polled.is_set, 20)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.runtime.events.put(None)
        self.runtime.shutdown()
        self.log.close()

    def stop(self, seconds):
        """Stops it for a while, as Lambda freezes an instance."""
        os.kill(self.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.process.pid, signal.SIGCONT)

    def invoke(self, event, request_id=None):
        """One invocation: what it answers, or None if the process ended."""
        self.clock[:] = struct.pack("q", int(self.world.ahead + self.skew))
        self.runtime.events.put((request_id or str(uuid.uuid4()), event))
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                return self.runtime.answers.get(timeout=0.1)
            if self.process.poll() is not None:
                return None
        raise AssertionError("no answer")


class World:
    """Instances, one table, one topic, and a time that the test sets.

    The table is its own, unless LEDGER_TABLE names another one.
    """

    def __init__(self, binary, scratch, emulator, count, skews=(), **variables):
        self.binary, self.scratch, self.variables = binary, scratch, variables
        self.preload = scratch / "clock.so"
        run(["cc", "-shared", "-fPIC", "-O1", "-o", str(self.preload), str(ROOT / "tests/e2e/clock.c")], environment(scratch))
        self.ahead = 0
        self.sns = Server(Sns)
        self.sns.times, self.sns.fails = [], False
        self.sns.mails, self.sns.clock = [], lambda: time.time() + self.ahead
        self.dynamodb = Server(DynamoDb)
        self.dynamodb.emulator = emulator.url.removeprefix("http://")
        self.dynamodb.numbers, self.dynamodb.calls = itertools.count(), []
        self.dynamodb.slow = 0
        self.dynamodb.fault = lambda number, operation: None
        self.client = emulator.client("dynamodb")
        self.owns_table = "LEDGER_TABLE" not in variables
        self.table = variables.get("LEDGER_TABLE", f"ledger-{uuid.uuid4().hex}")
        if self.owns_table:
            create_table(self.client, self.table)
        self.instances = [Instance(self, number, (*skews, *[0] * count)[number]) for number in range(count)]

    @property
    def mails(self):
        return self.sns.mails

    def items(self):
        found = self.client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        return [item for page in found for item in page["Items"]]

    def kept(self, *kinds):
        """How much there is under these keys: `P` is what waits, `C` what is open."""
        count = lambda kind: self.client.query(  # noqa: E731
            TableName=self.table,
            Select="COUNT",
            ConsistentRead=True,
            KeyConditionExpression="pk = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
        )["Count"]
        return sum(map(count, kinds))

    def parts(self):
        return [item for item in self.items() if item["pk"]["S"] == "P"]

    def deliver(self, instance, event, tries=TRIES):
        """As Lambda does: again if it fails, until it gives up. Whether it came through."""
        for _ in range(tries):
            answer = instance.invoke(event)
            if answer is None:
                instance.kill()
                instance.start()
            elif answer[0] == "response":
                return True
        return False

    def tick(self, instance=None, **asked):
        kind, report = (instance or self.instances[0]).invoke(json.dumps({"tick": asked}))
        return kind, report

    def settle(self):
        """Lets time pass until nothing waits and nothing is open."""
        for _ in range(40):
            self.ahead += 300
            self.tick()
            if not [item for item in self.items() if item["pk"]["S"] in ("P", "C")]:
                return
        raise AssertionError(f"something is left: {[i for i in self.items() if i['pk']['S'] in ('P', 'C')]}")

    def told(self, record):
        return sum(mail.tells(record) for mail in self.mails)

    def close(self):
        for instance in self.instances:
            with contextlib.suppress(Exception):
                instance.kill()
        self.sns.shutdown()
        self.dynamodb.shutdown()
        if self.owns_table:
            self.client.delete_table(TableName=self.table)


def create_table(client, name):
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )


@contextlib.contextmanager
def world(*arguments, **variables):
    made = World(*arguments, **variables)
    try:
        yield made
    finally:
        made.close()
