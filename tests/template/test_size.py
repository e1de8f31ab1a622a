"""The function's memory and timeout: the same wherever they are written, and enough for the largest event. Its
variables: no parameters make them too long.
"""

import json
import re
import tomllib

import pytest

from expansion import ROOT, Evaluation, Refused, expand, source

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


def milliseconds(file, constant):
    (found,) = re.findall(rf"const {constant}: Duration = Duration::from_millis\((\d+)\);", (ROOT / file).read_text())
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
    look_ups = milliseconds("crates/root-usage/src/config.rs", "HISTORY_TIMEOUT") / 1000
    publishing = seconds("crates/root-usage/src/handler/mod.rs", "PUBLISHING")

    assert reading + look_ups <= function["Timeout"] - publishing
    assert seconds("src/sns.rs", "OPERATION_TIMEOUT") + seconds("crates/root-usage/src/handler/mod.rs", "LAST_WORDS") <= publishing


# AWS Lambda Developer Guide, "Lambda quotas": all environment variables together, in their JSON.
VARIABLES_MAX = 4096
# CloudFormation takes stack names of up to 128 characters, Lambda function names, which this stack's is, of up to 64.
LONGEST_STACK_NAME = "s" * 64
# The longest names of a partition and of a Region that AWS has.
LONGEST_PLACE = {"AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-1"}
# Of each parameter that a variable gets, the value that takes the most bytes; and values that would take more.
LONGEST = {
    "Rules": ("r" * 512, ["r" * 513, "é", '"']),
    "ExtraRulePattern": (
        '"' * 64 + "\\" * 64 + "x" * 896,
        ['"' * 128 + "x" * 897, '"' * 129 + "x" * 895, "é", "\n", "\t", "\x7f"],
    ),
    "AlertLanguage": ("en", ["eng"]),
    "TrustedCidrs": ("京" * 64 + "1" * 448, ["京" * 64 + "1" * 449, "京" * 65, '"', "\\", "\n"]),
    "RunbookUrl": (
        "https://wiki.example.com/".ljust(400, "x"),
        ["https://wiki.example.com/".ljust(401, "x"), "https://é", 'https://wiki.example.com/"'],
    ),
    "AccountNames": (
        ",".join([f"{account}={'x' * 50}" for account in range(111122223333, 111122223342)] + ["111122223342=x"]).ljust(600, "x"),
        ["111122223333=é", '111122223333="', "111122223333=\\", f"111122223333={'x' * 51}", ",".join(["111122223333=x"] * 41)],
    ),
    "QuietMinutes": ("240", ["241", "250", "300", "1000", "5", "010", "0.5", ""]),
    "UpdateMinutes": ("60", ["61", "0", "600"]),
    "Settings": (
        f"ALERT_TIME_ZONE={'Z' * 64};" + "MAX_BATCH_BYTES=1073741824; " * 10,
        ["MAX_BATCH_BYTES=1073741824; " * 14, f"ALERT_TIME_ZONE={'Z' * 65}", "ALERT_TIME_ZONE=é", 'ALERT_TIME_ZONE="'],
    ),
}


def allowed(name, value):
    try:
        Evaluation.checked(name, source()["Parameters"][name], value)
    except Refused:
        return False
    return True


def test_variables_fit_whatever_the_parameters_are():
    variables = expand()["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
    parameters = source()["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
    sizes = {}
    for variable in variables:
        name = parameters[variable]["Ref"]
        if name == "AlertTopic":
            place = LONGEST_PLACE
            value = f"arn:{place['AWS::Partition']}:sns:{place['AWS::Region']}:111122223333:{LONGEST_STACK_NAME}-alerts"
        elif name == "LedgerTable":
            # As CloudFormation names what has no name: the stack, the resource, and up to 13 characters of its own.
            value = f"{LONGEST_STACK_NAME}-{name}-{'X' * 13}"
        else:
            value, longer = LONGEST[name]
            assert allowed(name, value), name
            for each in longer:
                assert not allowed(name, each), (name, each)
            # Where no value is as long as the limit, for its form.
            value += "x" * (source()["Parameters"][name].get("MaxLength", 0) - len(value))
        # With its name, both in quotation marks, a colon between and a comma after them.
        sizes[variable] = len(json.dumps(variable)) + len(json.dumps(value, ensure_ascii=False).encode()) + 2

    assert sum(sizes.values()) + 2 <= VARIABLES_MAX, sizes


def test_all_settings_fit_into_their_parameter():
    # The longest time zone's name, a policy's as long as AWS makes them, four times over, and a topic's of 64 characters.
    zone, policy = "America/Argentina/ComodRivadavia", "p-" + "x" * 32
    settings = (
        f"ALERT_TIME_ZONE={zone};MASK_ACCESS_KEYS=false;HISTORY_MINUTES=1440;HISTORY_TIMEOUT_MS=8000;"
        f"MAX_BATCH_BYTES=1073741824;METRICS=off;LOCKDOWN_POLICY_ID={policy};HTTPS_FORMAT=amazon-q;"
        f"PAGER_TOPIC_ARN=arn:aws-us-gov:sns:ap-southeast-1:111122223333:{'x' * 64}"
    )

    assert allowed("Settings", settings)


def test_all_shipped_rules_fit_into_their_parameter():
    rules = json.loads((ROOT / "rules.json").read_text())

    assert allowed("Rules", ",".join(rule["id"] for rule in rules))
