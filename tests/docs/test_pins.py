"""Every tool of others is installed at one version and by its hash, wherever this project installs one."""

import re
import tomllib

import pytest

from test_docs import ROOT

FILES = sorted((ROOT / "tests").glob("requirements*.txt"))
# What installs tools: for people, for a change, for a release.
INSTALLING = [ROOT / "Makefile", *sorted((ROOT / ".ci").iterdir()), *sorted((ROOT / ".github/workflows").iterdir())]
# `name==version`, and for which systems, without the hashes.
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(?: ; .*)?")


def named(path):
    return path.relative_to(ROOT).as_posix()


def lines(path):
    """The lines that say something, each with those that it goes on in."""
    text = path.read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(path):
    """Name to the versions of it: a package may have one for older versions of Python."""
    found = {}
    for line in lines(path):
        pin = PIN.fullmatch(line.partition(" --hash")[0].strip())
        assert pin, f"{named(path)}: {line}"
        found.setdefault(re.sub("[-_.]+", "-", pin[1]).lower(), set()).add(pin[2])
    return found


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_pin_has_hashes(path):
    for line in lines(path):
        hashes = re.findall(r" --hash=(\S+)", line)
        assert hashes, line
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), line
    assert pins(path)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_pin_is_the_one_that_was_chosen(path):
    chosen, written = pins(path.with_suffix(".in")), pins(path)
    assert chosen
    assert {name: written.get(name) for name in chosen} == chosen, "run `make pins`"


def test_every_choice_is_pinned():
    assert [path.with_suffix(".in") for path in FILES] == sorted((ROOT / "tests").glob("requirements*.in"))


def test_no_package_comes_from_a_place_of_its_own():
    for path in [*FILES, *(ROOT / "tests").glob("requirements*.in")]:
        assert re.findall(r"https?:|--(?:extra-)?index-url|--find-links|^-e|^git\+", path.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("path", INSTALLING, ids=named)
def test_everything_is_installed_by_its_hash(path):
    for line in lines(path):
        if re.search(r"\bpip[0-9.]* install\b|\buv (?:pip (?:install|sync)|tool)\b|\bpipx\b", line):
            assert "--require-hashes" in line and "--no-deps" in line, line
        # Cargo.lock of the tool has the hashes.
        if "cargo install" in line:
            assert "--locked" in line and "--version" in line, line
        assert not re.search(r"\b(?:npm|npx|gem|go) (?:i|install|exec)\b|curl [^\n]*\| *(?:ba)?sh", line), line


def test_the_makefile_installs_something_each_way_and_builds_no_python_package_but_for_sam():
    text = "\n".join(lines(ROOT / "Makefile"))
    assert text.count("pip install") == 1 and "cargo install" in text
    assert "$(WHEELS)" in re.search(r"^.*pip install.*$", text, re.MULTILINE)[0]
    assert re.findall(r"^(.*\bWHEELS\b) *:?=(.*)$", text, re.MULTILINE) == [("WHEELS", " --only-binary :all:"), ("$(SAM): WHEELS", "")]


def test_a_release_is_built_with_one_version_of_rust_that_the_crates_take():
    oldest = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    (version,) = re.findall(r'RUSTUP_TOOLCHAIN: "(.*)"', (ROOT / ".github/workflows/release.yml").read_text())
    assert re.fullmatch(r"1\.\d+\.\d+", version)
    assert [int(part) for part in version.split(".")[:2]] >= [int(part) for part in oldest.split(".")]
