"""Every operation of the services that this stack uses is told by a rule, or is in untold.tsv with the reason why not.

By the models of the AWS CLI: one with a new operation, or with another parameter that may name what is watched, fails here
until somebody has decided.
"""

import collections
import csv
import json
import pathlib
import re

import botocore.session
import pytest

from calls import STACKS, calls

TABLE = pathlib.Path(__file__).with_name("untold.tsv")
# The names of their models, and the names that CloudTrail gives them.
SERVICES = {
    "cloudformation": "cloudformation",
    "cloudtrail": "cloudtrail",
    "cloudwatch": "monitoring",
    "dynamodb": "dynamodb",
    "events": "events",
    "lambda": "lambda",
    "logs": "logs",
    "sns": "sns",
    "sqs": "sqs",
}
# What only looks. Whatever else does has a row in the table.
READING = re.compile("(BatchDescribe|BatchGet|Describe|Filter|Get|List|Lookup|Search)[A-Z]|Query$|Scan$")
# Parameters of calls in calls.tsv that name nothing which could be watched: what is told there is told whatever they say.
NAMELESS = {"attributes", "policyName", "policyType"}


@pytest.fixture(scope="module", params=SERVICES)
def service(request):
    return request.param


@pytest.fixture(scope="module")
def model(service):
    return botocore.session.get_session().get_service_model(service)


@pytest.fixture(scope="module")
def told(service):
    """Operation to the parameters of its calls that a rule tells."""
    found = collections.defaultdict(list)
    for call in (call for stack in STACKS for call in calls(stack)):
        if call.rule and call.service == SERVICES[service]:
            # Lambda's records have the version of its API behind the name.
            found[re.sub(r"\d{8}(v\d)?$", "", call.name)].append(json.loads(call.parameters))
    return found


@pytest.fixture(scope="module")
def untold(service):
    """Operation to reason."""
    with TABLE.open() as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True) if row["service"] == service]
    named = [(name, row["reason"]) for row in rows for name in row["operations"].split(" ")]
    assert len(dict(named)) == len(named), "an operation is there twice"
    assert all(reason for _, reason in named)
    return dict(named)


def record_name(member):
    """A parameter as CloudTrail writes it: `alarmNames` for `AlarmNames`."""
    return member[0].lower() + member[1:]


def fits(value, shape):
    """Whether an operation takes this, its parameters named as in a record."""
    if isinstance(value, list):
        return shape.type_name == "list" and all(fits(one, shape.member) for one in value)
    if not isinstance(value, dict):
        return shape.type_name == "string"
    if shape.type_name == "map":
        return all(fits(one, shape.value) for one in value.values())
    if shape.type_name != "structure":
        return False
    named = {record_name(name): inner for name, inner in shape.members.items()}
    return all(name in named and fits(one, named[name]) for name, one in value.items())


def test_each_operation_is_told_or_there_is_a_reason(model, told, untold):
    every = {name for name in model.operation_names if not READING.match(name)}
    assert every - set(told) - set(untold) == set(), "decide: a row of calls.tsv, or one of untold.tsv"
    assert set(untold) - every == set(), "the models have no such operation, or it only looks"
    assert set(told) & set(untold) == set(), "told, and yet there is a reason why not"


def test_each_call_that_is_told_is_an_operation_with_these_parameters(model, told):
    assert told
    for name, rows in told.items():
        for row in rows:
            assert fits(row, model.operation_model(name).input_shape), (name, row)


def test_each_parameter_that_may_name_what_is_watched_has_a_row(model, told):
    naming = {field for rows in told.values() for row in rows for field in row} - NAMELESS
    for name, rows in told.items():
        members = {record_name(member) for member in model.operation_model(name).input_shape.members}
        shown = {field for row in rows for field in row}
        assert members & naming - shown == set(), name


def test_every_service_of_the_table_is_one_that_the_stack_uses():
    with TABLE.open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))
    assert {row["service"] for row in rows} == set(SERVICES)
    assert {call.service for stack in STACKS for call in calls(stack) if call.rule} == set(SERVICES.values())
