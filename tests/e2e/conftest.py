"""What the end-to-end tests stand on: the tools, an AWS emulator, the built function.

Everything runs as the real program in a process of its own and listens on a free port of 127.0.0.1.
A missing tool is a failure, never a skip: a green run means that everything here ran.
"""

import base64
import contextlib
import dataclasses
import gzip
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
REGION = "eu-central-1"
FUNCTION_BINARY = "root-usage-alert"

# A release build from nothing, with fat LTO, takes minutes on a small machine.
BUILD_SECONDS = 1500
COMMAND_SECONDS = 180
# From a written log event to a message in the queue; seconds even under load.
DELIVERY_SECONDS = 60


def tool(name, directory):
    """The path of a tool that `make` has installed; a failure if it is missing."""
    path = ROOT / ".venv" / directory / "bin" / name
    if not path.exists():
        pytest.fail(f"{path.relative_to(ROOT)} is missing: run the tests with `make test-e2e`", pytrace=False)
    return str(path)


def wait_for(what, probe, seconds, pause=0.1):
    """Call `probe` until it returns something true, and return that; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {what}")
        time.sleep(pause)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def environment(scratch, **more):
    """This process's environment without its AWS settings, with made-up credentials instead.

    No tool finds a real account, and none leaves anything in the home directory.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        SAM_CLI_TELEMETRY="0",
        __SAM_CLI_APP_DIR=str(scratch),
        NO_COLOR="1",
        # cargo finds `cargo-lambda` here, and cargo-lambda the `python3` that brings zig.
        PATH=os.pathsep.join([str(ROOT / ".venv/tools/bin"), os.environ["PATH"]]),
    )
    env.update(more)
    return env


def run(command, env, seconds=COMMAND_SECONDS, check=True, answers="", folder=ROOT):
    """Run a command in the project's directory, or another; on failure show all that it printed."""
    done = subprocess.run(command, cwd=folder, env=env, timeout=seconds, text=True, input=answers, capture_output=True)
    if check and done.returncode != 0:
        pytest.fail(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done


@contextlib.contextmanager
def process(command, env, log):
    """A process that ends, with all its children, when the block does. Its output goes to `log`."""
    with open(log, "wb") as output:
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        # The group has the process's id. First the polite signal, so that it can end its children.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait(timeout=10)


@dataclasses.dataclass
class Emulator:
    """A running ministack."""

    url: str
    env: dict
    log: pathlib.Path

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=60),
        )


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("emulator")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        scratch,
        # The functions that it starts inherit this; without it they would call the real AWS.
        AWS_ENDPOINT_URL=url,
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_REGION=REGION,
        # Listeners on ports of their own, which no test here needs.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        # Lambda waits one and two minutes before it retries a failed event; a test need not.
        LAMBDA_ASYNC_RETRY_BASE_SECONDS="0.1",
        TMPDIR=str(scratch),
    )
    log = scratch / "ministack.log"

    def healthy():
        if running.poll() is not None:
            pytest.fail(f"ministack ended at its start:\n{log.read_text()}", pytrace=False)
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{url}/_ministack/health", timeout=5).status == 200

    tool("ministack", "tools")
    launcher = pathlib.Path(__file__).with_name("emulator.py")
    with process([tool("python", "tools"), str(launcher)], env, log) as running:
        wait_for("ministack to answer", healthy, 30)
        yield Emulator(url, env, log)


@pytest.fixture(scope="session")
def built_template(tmp_path_factory):
    """What `make build`, which is `sam build`, makes of template.yaml: the template that names the built function."""
    scratch = tmp_path_factory.mktemp("sam-build")
    tool("cargo-lambda", "tools")
    tool("sam", "sam")
    # `make package` compiles with the same flags, and so finds done what this does.
    run(["make", "build", f"SAM_BUILD_FLAGS=--build-dir {scratch / 'build'}"], environment(scratch), seconds=BUILD_SECONDS)
    yield scratch / "build" / "template.yaml"


TABLE = pytest.StashKey()


@pytest.fixture(scope="session")
def table(pytestconfig):
    """A table that the run ends with, by its heading: for figures that a passed test would keep to itself."""
    tables = pytestconfig.stash.setdefault(TABLE, {})
    return lambda heading, row: tables.setdefault(heading, []).append(row)


def pytest_terminal_summary(terminalreporter, config):
    for heading, rows in config.stash.get(TABLE, {}).items():
        terminalreporter.section(heading)
        for row in rows:
            terminalreporter.line(row)


def shipped_events():
    """The names of the events in events/, each with what an invocation must count."""
    # Without the deliveries of stories: they show nothing new one by one, and each would cost an invocation.
    stories = ("day-", "incident-")
    sources = sorted(path for path in (EVENTS / "source").glob("*.json") if not path.stem.startswith(stories))
    if not sources:
        raise FileNotFoundError("events/source holds no event")
    return {source.stem: json.loads(source.read_text())["expect"] for source in sources}


def log_data(event):
    """What is inside a raw Lambda event: base64, gzip, JSON."""
    return json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))


def raw_event(data):
    """The raw Lambda event with this inside."""
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()}}


def shipped_event(name):
    return json.loads((EVENTS / f"{name}.json").read_text())
