"""Every command that a mail shows is one that the AWS CLI takes: its operation and parameters stand in botocore's models.

The mails are the snapshots in crates/root-usage/tests/mails, so a command that no snapshot shows fails `test_every_kind_is_shown`.
"""

import re
import shlex
from pathlib import Path

import botocore
import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator

ROOT = Path(__file__).resolve().parents[2]
MAILS = sorted((ROOT / "crates/root-usage/tests/mails").glob("**/*.snap"))
SESSION = botocore.session.get_session()

# Options of the AWS CLI itself.
GLOBAL = {"--region", "--query", "--output", "--profile"}

# What the AWS CLI calls otherwise. Source: AWS CLI 2, `aws help`.
RENAMED = {"configservice": "config", "s3api": "s3"}

# What crates/root-usage/src/email and src/incident/open.rs make commands for. A new one is added here, and to an event whose mail shows it.
KINDS = {
    "cloudtrail lookup-events",
    "cloudtrail start-logging",
    "configservice start-configuration-recorder",
    "ec2 delete-security-group",
    "ec2 revoke-security-group-ingress",
    "ec2 stop-instances",
    "iam delete-access-key",
    "iam delete-group",
    "iam delete-group-policy",
    "iam delete-instance-profile",
    "iam delete-login-profile",
    "iam delete-role",
    "iam delete-role-policy",
    "iam delete-user",
    "iam delete-user-policy",
    "iam detach-group-policy",
    "iam detach-role-policy",
    "iam detach-user-policy",
    "iam list-access-keys",
    "iam remove-role-from-instance-profile",
    "iam remove-user-from-group",
    "iam update-access-key",
    "kms cancel-key-deletion",
    "organizations attach-policy",
    "s3api delete-bucket",
    "s3api delete-bucket-policy",
    "s3api put-public-access-block",
    "signin batch-revoke-sessions",
    "signin list-sessions",
    "sts assume-root",
}


def commands() -> dict[str, Path]:
    """Each command, with a mail that shows it: a line of its own."""
    found: dict[str, Path] = {}
    for mail in MAILS:
        for line in mail.read_text().splitlines():
            if re.match(r"\s*aws [a-z]", line):
                found.setdefault(line.strip(), mail)
    return found


def value(shape, texts: list[str]):
    """What the AWS CLI makes of an option's texts."""
    if shape.type_name == "list":
        return [value(shape.member, [text]) for text in texts]
    (text,) = texts
    if shape.type_name == "structure":
        pairs = dict(pair.split("=", 1) for pair in text.split(","))
        unknown = set(pairs) - set(shape.members)
        assert not unknown, f"{unknown} not in {sorted(shape.members)}"
        return {name: value(shape.members[name], [inner]) for name, inner in pairs.items()}
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "string":
        assert not shape.enum or text in shape.enum, f"{text} not in {shape.enum}"
        return text
    if shape.type_name == "boolean":
        assert text in ("true", "false"), text
        return text == "true"
    raise AssertionError(f"no text makes a {shape.type_name}")


def read(command: str):
    """The operation's model and its parameters."""
    _, service, operation, *rest = shlex.split(command)
    model = SESSION.get_service_model(RENAMED.get(service, service))
    names = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in names, f"{service} has no {operation}"
    shape = model.operation_model(names[operation])
    members = shape.input_shape.members if shape.input_shape else {}
    options = {"--" + xform_name(name, "-"): name for name in members}
    texts: dict[str, list[str]] = {}
    for word in rest:
        if word.startswith("--"):
            assert word in options or word in GLOBAL, f"{operation} has no {word}"
            texts[word] = []
            last = texts[word]
        else:
            last.append(word)
    return shape, {options[o]: value(members[options[o]], t) for o, t in texts.items() if o in options}


def test_the_models_know_what_is_new():
    assert tuple(map(int, botocore.__version__.split("."))) >= (1, 44, 8)


@pytest.mark.parametrize("command", sorted(commands()))
def test_the_aws_cli_takes_it(command):
    shape, parameters = read(command)
    if shape.input_shape:
        report = ParamValidator().validate(parameters, shape.input_shape)
        assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    "wrong",
    [
        "aws sts assume-king --target-principal 111122223333",
        "aws sts assume-root --target 111122223333",
        "aws sts assume-root --target-principal 111122223333 --task-policy-arn name=x",
        "aws signin batch-revoke-sessions --session-ids x",
        "aws cloudtrail lookup-events --lookup-attributes AttributeKey=Event,AttributeValue=x",
    ],
)
def test_a_wrong_command_is_refused(wrong):
    with pytest.raises(AssertionError):
        read(wrong)


def test_a_missing_parameter_is_refused():
    shape, parameters = read("aws sts assume-root --target-principal 111122223333")
    assert ParamValidator().validate(parameters, shape.input_shape).has_errors()


def test_every_kind_is_shown():
    assert {" ".join(command.split()[1:3]) for command in commands()} == KINDS
