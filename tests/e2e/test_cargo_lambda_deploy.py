"""`cargo lambda deploy`, the quick way to put new code into a function that SAM has made."""

import io
import urllib.request
import zipfile

import pytest

from conftest import FUNCTION_BINARY, environment, run, tool

ROLE = "arn:aws:iam::000000000000:role/deployed-by-cargo-lambda"


@pytest.fixture(scope="module")
def cargo_lambda(emulator, built_template, tmp_path_factory):
    """Run `cargo lambda deploy` with what `sam build`, which calls cargo-lambda, has built."""
    scratch = tmp_path_factory.mktemp("cargo-lambda")
    env = environment(scratch)

    def deploy(*arguments):
        return run([tool("cargo-lambda", "tools"), "lambda", "deploy", *arguments], env)

    yield deploy


def test_dry_run_shows_the_package(cargo_lambda):
    done = cargo_lambda("--dry")

    assert f"function `{FUNCTION_BINARY}`" in done.stdout
    assert "- bootstrap" in done.stdout


@pytest.mark.parametrize(
    "name, arguments",
    [
        # Without a name: the function of the stack that has its default name.
        (FUNCTION_BINARY, []),
        ("of-another-stack", ["--binary-name", FUNCTION_BINARY, "of-another-stack"]),
    ],
)
def test_function_is_made_and_then_updated(name, arguments, cargo_lambda, emulator):
    aws = emulator.client("lambda")
    endpoint = ["--endpoint-url", emulator.url]
    topic = "arn:aws:sns:eu-central-1:000000000000:alerts"

    cargo_lambda(*endpoint, "--role", ROLE, "--env-var", f"ALERT_TOPIC_ARN={topic}", *arguments)
    try:
        made = aws.get_function(FunctionName=name)
        code = urllib.request.urlopen(made["Code"]["Location"], timeout=30).read()
        assert zipfile.ZipFile(io.BytesIO(code)).namelist() == ["bootstrap"]
        assert made["Configuration"]["Runtime"] == "provided.al2023"
        assert made["Configuration"]["MemorySize"] == 512
        assert made["Configuration"]["Timeout"] == 30

        aws.update_function_code(FunctionName=name, ZipFile=other_code())
        cargo_lambda(*endpoint, *arguments)

        updated = aws.get_function_configuration(FunctionName=name)
        assert updated["CodeSha256"] == made["Configuration"]["CodeSha256"]
        # What SAM has set stays: new code must not forget the topic.
        assert updated["Environment"]["Variables"] == {"ALERT_TOPIC_ARN": topic}
    finally:
        aws.delete_function(FunctionName=name)


def other_code():
    """A package that is not the function's."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/false\n")
    return package.getvalue()
