"""The function that `sam build` made, as a file: whether Lambda's operating system can load it, and what is not in it."""

import re

import pytest

from conftest import environment, run

# Amazon Linux 2023, on which provided.al2023 runs, has this one.
# Source: Amazon Linux 2023 release notes, package glibc.
GLIBC = (2, 34)


@pytest.fixture(scope="module")
def binary(built_template):
    return built_template.parent / "AlertFunction" / "bootstrap"


@pytest.fixture(scope="module")
def symbols(binary, tmp_path_factory):
    """What the binary wants from shared libraries. objdump comes with the C compiler."""
    return run(["objdump", "--dynamic-syms", str(binary)], environment(tmp_path_factory.mktemp("binary"))).stdout


def test_binary_asks_for_no_newer_glibc_than_lambda_has(symbols):
    wanted = {tuple(map(int, found.split("."))) for found in re.findall(r"\bGLIBC_([0-9.]+)", symbols)}

    assert wanted
    assert max(wanted) <= GLIBC


def test_binary_is_for_the_default_architecture(symbols):
    assert "elf64-x86-64" in symbols


def test_binary_does_not_collect_jitter_entropy(binary):
    """aws-lc does, 40 ms of CPU in each new process; its file names are in a binary that is stripped of symbols too."""
    content = binary.read_bytes()

    assert b"/crypto/ring/" in content
    for text in [b"aws-lc", b"jent_", b"jitterentropy"]:
        assert text not in content
