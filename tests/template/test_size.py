"""The function's memory and timeout: the same wherever they are written, and enough for the largest event."""

import re
import tomllib

import pytest

from expansion import ROOT, expand, source

# AWS Lambda Developer Guide, "Configure Lambda function memory": with this many MB it has one whole vCPU.
WHOLE_CPU = 1769
# What an event of 1 MB, the most that CloudWatch Logs sends, may take of a whole vCPU: docs/performance.md.
LARGEST_EVENT_SECONDS = 1.0


@pytest.fixture(scope="module")
def function():
    return expand()["Resources"]["AlertFunction"]["Properties"]


def seconds(file, constant):
    """A `Duration` in the source."""
    (found,) = re.findall(rf"const {constant}: Duration = Duration::from_secs\((\d+)\);", (ROOT / file).read_text())
    return int(found)


def test_cargo_lambda_deploys_what_the_template_says(function):
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    deploy = manifest["workspace"]["metadata"]["lambda"]["deploy"]

    assert deploy["memory"] == function["MemorySize"]
    assert deploy["timeout"] == function["Timeout"]
    assert deploy["runtime"] == function["Runtime"]


def test_function_knows_its_timeout(function):
    assert seconds("src/main.rs", "TIMEOUT") == function["Timeout"]


def test_the_largest_event_is_read_looked_up_and_mailed_in_time(function):
    reading = LARGEST_EVENT_SECONDS * WHOLE_CPU / min(function["MemorySize"], WHOLE_CPU)
    look_ups = source()["Parameters"]["HistoryTimeoutMs"]["Default"] / 1000
    publishing = seconds("crates/root-usage/src/handler/mod.rs", "PUBLISHING")

    assert reading + look_ups <= function["Timeout"] - publishing
    assert seconds("src/sns.rs", "OPERATION_TIMEOUT") + seconds("crates/root-usage/src/handler/mod.rs", "LAST_WORDS") <= publishing
