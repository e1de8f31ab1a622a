"""The template's parameters against the function that reads them: a value that CloudFormation takes must not
be one that stops the function's start, and the other way round.
"""

import pytest
from samtranslator.yaml_helper import yaml_parse

from conftest import ROOT, environment, run


def variables():
    """Each variable of the function that a parameter sets, with what the parameter allows."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    environment_of = template["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
    parameters = template["Parameters"]
    return {
        variable: parameters[value["Ref"]] for variable, value in environment_of.items() if value["Ref"] in parameters
    }


def allowed():
    for variable, parameter in variables().items():
        for value in parameter.get("AllowedValues", []):
            yield variable, value
        for limit in ("Default", "MinValue", "MaxValue"):
            if limit in parameter:
                yield variable, parameter[limit]


def beyond():
    for variable, parameter in variables().items():
        for limit, step in (("MinValue", -1), ("MaxValue", 1)):
            if limit in parameter:
                yield variable, parameter[limit] + step
        if "AllowedValues" in parameter:
            yield variable, "maybe"


@pytest.fixture(scope="module")
def complaint(built_template, tmp_path_factory):
    """What the function says at its start. Without a topic it never gets further, and says that too."""
    binary = built_template.parent / "AlertFunction" / "bootstrap"
    scratch = tmp_path_factory.mktemp("parameters")

    def start(variable, value):
        said = run([str(binary)], environment(scratch, **{variable: str(value)}), check=False)
        assert said.returncode != 0
        assert "ALERT_TOPIC_ARN is not set" in said.stdout
        return said.stdout

    return start


@pytest.mark.parametrize("variable, value", list(allowed()))
def test_what_the_template_allows_the_function_takes(variable, value, complaint):
    assert f"{variable}=" not in complaint(variable, value)


@pytest.mark.parametrize("variable, value", list(beyond()))
def test_what_the_template_refuses_the_function_refuses_too(variable, value, complaint):
    assert f"{variable}=" in complaint(variable, value)


def test_there_are_limits_to_compare():
    assert len(list(allowed())) > 15
    assert {variable for variable, _ in beyond()} >= {"HISTORY_MINUTES", "HISTORY_TIMEOUT_MS", "MAX_BATCH_BYTES", "METRICS"}
