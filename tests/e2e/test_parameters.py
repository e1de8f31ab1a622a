"""The template's parameters against the function that reads them: a value that CloudFormation takes must not
be one that stops the function's start, and the other way round.
"""

import re

import pytest
from samtranslator.yaml_helper import yaml_parse

from conftest import ROOT, environment, run


PARAMETERS = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]

# Values that can't be read off the template's limits. What is refused has the variable that the function names.
TAKEN = [
    ("TRUSTED_CIDRS", "office=203.0.113.0/24, 東京 オフィス=2001:db8::/32,198.51.100.7"),
    ("RULES", "root-usage, cis ,vpc-changes"),
    ("RULE_PATTERN", '{ ($.eventName = "Stop\\*") || ($.errorCode = *Denied*) }'),
    ("RUNBOOK_URL", "https://wiki.example.com"),
    ("RUNBOOK_URL", "https://wiki.example.com:8443/~sec/root+user/%20?page=1&lang=en#step_1"),
    ("RUNBOOK_URL", "https://wiki.example.com/".ljust(400, "x")),
    ("SETTINGS", "MASK_ACCESS_KEYS=false; HISTORY_TIMEOUT_MS=100;MAX_BATCH_BYTES=1048576;METRICS=off"),
    ("SETTINGS", "LOCKDOWN_POLICY_ID=p-examplepolicyid1;METRICS=on"),
    ("SETTINGS", "ALERT_TIME_ZONE=Asia/Tokyo; HISTORY_MINUTES=0"),
    ("SETTINGS", "ALERT_TIME_ZONE=Etc/GMT+9;HISTORY_MINUTES=1440"),
    ("SETTINGS", "HISTORY_MINUTES=9;ALERT_TIME_ZONE=America/Argentina/ComodRivadavia"),
    *(("QUIET_MINUTES", minutes) for minutes in ("0", "10", "99", "100", "199", "200", "239", "240")),
    ("SETTINGS", f"LOCKDOWN_POLICY_ID=p-{'x' * 128}"),
    ("ACCOUNT_NAMES", "organization"),
    ("ACCOUNT_NAMES", "111122223333=payments-prod"),
    ("ACCOUNT_NAMES", "111122223333=R&D (EU) = 2, 444455556666=x,111122223333=a b"),
    ("ACCOUNT_NAMES", f"111122223333={'x' * 50}"),
    ("SETTINGS", "MASK_ACCESS_KEYS=true;HISTORY_TIMEOUT_MS=8000;MAX_BATCH_BYTES=1073741824;METRICS=on;"),
]
REFUSED = [
    ("RUNBOOK_URL", "http://wiki.example.com/", "RUNBOOK_URL"),
    ("RUNBOOK_URL", "https://someone@wiki.example.com/", "RUNBOOK_URL"),
    ("RUNBOOK_URL", "https://wiki.example.com:https/", "RUNBOOK_URL"),
    ("RUNBOOK_URL", "https://wiki.example.com/a b", "RUNBOOK_URL"),
    ("RUNBOOK_URL", "https://wiki.example.com/root.", "RUNBOOK_URL"),
    ("RUNBOOK_URL", "https://wiki.example.com/".ljust(401, "x"), "RUNBOOK_URL"),
    ("RULES", "Root", "RULES"),
    ("SETTINGS", "NOPE=1", "SETTINGS"),
    ("SETTINGS", "RULES=root", "SETTINGS"),
    ("SETTINGS", "METRICS", "SETTINGS"),
    ("SETTINGS", "MASK_ACCESS_KEYS=yes", "MASK_ACCESS_KEYS"),
    ("SETTINGS", "HISTORY_TIMEOUT_MS=99", "HISTORY_TIMEOUT_MS"),
    ("SETTINGS", "HISTORY_TIMEOUT_MS=8001", "HISTORY_TIMEOUT_MS"),
    ("SETTINGS", "MAX_BATCH_BYTES=999999", "MAX_BATCH_BYTES"),
    ("SETTINGS", "METRICS=maybe", "METRICS"),
    ("SETTINGS", "HISTORY_MINUTES=1441", "HISTORY_MINUTES"),
    ("SETTINGS", "HISTORY_MINUTES=-1", "HISTORY_MINUTES"),
    ("SETTINGS", "ALERT_TIME_ZONE=Tokyo Japan", "ALERT_TIME_ZONE"),
    *(("QUIET_MINUTES", minutes, "QUIET_MINUTES") for minutes in ("1", "9", "241", "300", "1000", "off")),
    ("SETTINGS", "LOCKDOWN_POLICY_ID=p-1234567", "LOCKDOWN_POLICY_ID"),
    ("SETTINGS", "LOCKDOWN_POLICY_ID=p-example-policy", "LOCKDOWN_POLICY_ID"),
    ("SETTINGS", f"LOCKDOWN_POLICY_ID=p-{'x' * 129}", "LOCKDOWN_POLICY_ID"),
    ("ACCOUNT_NAMES", "payments-prod", "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", "1111=payments-prod", "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", "111122223333=", "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", "111122223333=a,sandbox", "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", "111122223333=a,", "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", "111122223333=本番", "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", '111122223333="a"', "ACCOUNT_NAMES"),
    ("ACCOUNT_NAMES", f"111122223333={'x' * 51}", "ACCOUNT_NAMES"),
]


def variables():
    """Each variable of the function that a parameter sets, with what the parameter allows."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    environment_of = template["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
    return {
        variable: PARAMETERS[value["Ref"]] for variable, value in environment_of.items() if value["Ref"] in PARAMETERS
    }


def allowed():
    for variable, parameter in variables().items():
        for value in parameter.get("AllowedValues", []):
            yield variable, value
        for limit in ("Default", "MinValue", "MaxValue"):
            if limit in parameter:
                yield variable, parameter[limit]
    yield from TAKEN


def beyond():
    for variable, parameter in variables().items():
        for limit, step in (("MinValue", -1), ("MaxValue", 1)):
            if limit in parameter:
                yield variable, parameter[limit] + step, variable
        if "AllowedValues" in parameter:
            yield variable, "maybe", variable
    yield from REFUSED


def in_template(variable, value):
    """Whether CloudFormation would take the value."""
    parameter = variables()[variable]
    return (
        re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), str(value)) is not None
        and len(str(value)) <= parameter.get("MaxLength", 4096)
        and value in parameter.get("AllowedValues", [value])
        and float(parameter.get("MinValue", "-inf")) <= float(value if "MinValue" in parameter else 0)
        and float(parameter.get("MaxValue", "inf")) >= float(value if "MaxValue" in parameter else 0)
    )


@pytest.fixture(scope="module")
def complaint(built_template, tmp_path_factory):
    """The variables that the function names at its start. Without a topic it never gets further, and says that too."""
    binary = built_template.parent / "AlertFunction" / "bootstrap"
    scratch = tmp_path_factory.mktemp("parameters")

    def start(variable, value):
        said = run([str(binary)], environment(scratch, **{variable: str(value)}), check=False)
        assert said.returncode != 0
        # A problem a line.
        return re.findall(r"\\n  ([A-Z_]+)", said.stdout)

    return start


@pytest.mark.parametrize("variable, value", list(allowed()))
def test_what_the_template_allows_the_function_takes(variable, value, complaint):
    assert in_template(variable, value)
    assert complaint(variable, value) == ["ALERT_TOPIC_ARN"]


@pytest.mark.parametrize("variable, value, named", list(beyond()))
def test_what_the_template_refuses_the_function_refuses_too(variable, value, named, complaint):
    assert not in_template(variable, value)
    assert complaint(variable, value) == ["ALERT_TOPIC_ARN", named]


def test_there_are_limits_to_compare():
    assert len(list(allowed())) > 15
    assert {variable for variable, _ in allowed()} == set(variables())
    named = {named for *_, named in beyond()}
    assert named >= {"HISTORY_MINUTES", "HISTORY_TIMEOUT_MS", "MASK_ACCESS_KEYS", "MAX_BATCH_BYTES", "METRICS", "LOCKDOWN_POLICY_ID", "ACCOUNT_NAMES", "ALERT_TIME_ZONE", "QUIET_MINUTES", "UPDATE_MINUTES"}
