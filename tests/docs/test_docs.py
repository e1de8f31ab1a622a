"""The pages agree with each other and with what they describe.

README.md and README.ja.md have the same commands, parameters, links and figures. What any page says of the template, the
Makefile, the function's settings and the AWS CLI is held against these.
"""

import re
import shlex
import sys
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "template"))
from expansion import expand  # noqa: E402

ENGLISH, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"
READMES = [ENGLISH, JAPANESE]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "events").glob("*.md"), *(ROOT / "crates").glob("*/*.md")]
)
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

# What a reader of the Japanese page needs to be told and one of the English page doesn't.
JAPANESE_ONLY = {"ALERT_LANGUAGE=ja"}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What the AWS CLI calls otherwise than the API does: its argrename.py.
RENAMED = {("sns", "subscribe"): {"--endpoint": "--notification-endpoint"}}
# Options of the AWS CLI itself, which no operation has.
GLOBAL = {"--region", "--query", "--output", "--profile", "--cli-binary-format"}


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def shell(page: Path) -> list[str]:
    """The fenced blocks of commands."""
    return [text for language, text in FENCE.findall(page.read_text()) if language == "sh"]


def spans(page: Path) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def sections(page: Path) -> list[str]:
    """The text under each heading of the second level, and before the first."""
    return re.split(r"^## .*$", prose(page), flags=re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, headers and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rules = {n for n, line in enumerate(lines) if re.fullmatch(r"\|( :?-+:? \|)+", line)}
    kept = [line for n, line in enumerate(lines) if n not in rules and n + 1 not in rules]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in kept]


def slugs(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ── The two READMEs ───────────────────────────────────────────────────────────────────────────────


def test_the_readme_fits_into_200_lines():
    assert len(ENGLISH.read_text().splitlines()) <= 200


def test_both_readmes_have_the_same_commands():
    assert shell(ENGLISH) == shell(JAPANESE)
    assert shell(ENGLISH)


def test_both_readmes_name_the_same_parameters_files_and_values():
    english, japanese = (set(spans(page)) for page in READMES)
    assert english - japanese == set()
    assert japanese - english == JAPANESE_ONLY


def test_both_readmes_have_the_same_links():
    def targets(page):
        return sorted({link.replace("/ja_jp/", "/") for link in links(page)} - {"README.md", "README.ja.md"})

    assert targets(ENGLISH) == targets(JAPANESE)
    assert "README.ja.md" in links(ENGLISH) and "README.md" in links(JAPANESE)


def test_both_readmes_have_the_same_sections_with_the_same_tables():
    english, japanese = sections(ENGLISH), sections(JAPANESE)
    assert len(english) == len(japanese)
    for one, other in zip(english, japanese):
        assert len(rows(one)) == len(rows(other))
        assert len(re.findall("^- ", one, re.MULTILINE)) == len(re.findall("^- ", other, re.MULTILINE))
        for ours, theirs in zip(rows(one), rows(other)):
            assert re.findall("`[^`]+`", ours[0]) == re.findall("`[^`]+`", theirs[0])
            # The figures of the costs.
            assert [cell for cell in ours if re.fullmatch(r"[\d.,]+", cell)] == [
                cell for cell in theirs if re.fullmatch(r"[\d.,]+", cell)
            ]


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_the_readme_asks_what_the_template_asks_first(page):
    (questions,) = [group for group in map(rows, sections(page)) if group and group[0][0] == "`NotificationEmail`"]
    first = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"][0]["Parameters"]
    assert [cells[0].strip("`") for cells in questions] == first


# ── Every page ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_page_and_a_heading(name):
    page = ROOT / name
    for link in links(page):
        if re.match("https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in slugs(target), link


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ENGLISH]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        local = [link.partition("#")[0] for link in links(page) if not re.match("https?://", link)]
        waiting += [(page.parent / path).resolve() for path in local if path]
    assert sorted(page.name for page in (ROOT / "docs").glob("*.md") if page not in reached) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_target_of_make_exists(name):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = "\n".join(shell(ROOT / name) + spans(ROOT / name))
    text += "".join(re.findall(r"^    make .*\n", (ROOT / name).read_text(), flags=re.MULTILINE))
    for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", text):
        assert target in targets, target


@pytest.mark.parametrize("name", NAMES)
def test_every_event_in_a_command_exists(name):
    for path in re.findall(r"(?<![\w/])events/[\w./*-]+", "\n".join(shell(ROOT / name))):
        assert any(ROOT.glob(path)), path


def aws_commands(page: Path) -> list[str]:
    """The calls of the AWS CLI in a page, each with all its lines."""
    found = []
    for text in shell(page) + [span for span in spans(page) if re.match(r"aws [a-z-]+ [a-z-]+(?= |$)", span)]:
        for begin in (match.start() for match in re.finditer(r"(?<![\w-])aws (?=[a-z])", text)):
            end = begin
            while end < len(text):
                end = text.find("\n", end + 1) if "\n" in text[end + 1 :] else len(text)
                part = text[begin:end]
                if not part.endswith("\\") and part.count("'") % 2 == 0 and part.count('"') % 2 == 0:
                    break
            found.append(text[begin:end])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_the_aws_cli_exists_and_has_its_options(name):
    session = botocore.session.get_session()
    for command in aws_commands(ROOT / name):
        _, service, operation, *_ = command.split()
        # The AWS CLI's own, not an operation of the API.
        if service in ("configure", "s3"):
            continue
        operation = operation.strip(")")
        # These too; tests/e2e/test_package.py runs them.
        if service == "cloudformation" and operation in ("package", "deploy"):
            continue
        # `wait` has a name of its own, and the options of the operation that it asks again and again.
        if operation == "wait":
            waiters = session.get_waiter_model(service)
            (waiter,) = [one for one in waiters.waiter_names if xform_name(one, "-") == command.split()[3]] or [None]
            assert waiter, command
            operation = xform_name(waiters.get_waiter(waiter).operation, "-")
        model = session.get_service_model(service)
        (found,) = [one for one in model.operation_names if xform_name(one, "-") == operation] or [None]
        assert found, command
        members = model.operation_model(found).input_shape
        known = {f"--{xform_name(member, '-')}" for member in members.members} if members else set()
        renamed = RENAMED.get((service, operation), {})
        known = {renamed.get(option, option) for option in known}
        # Without what stands in quotes.
        options = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", re.sub(r"'[^']*'", "''", command)))
        assert options - GLOBAL <= known, (command, options - GLOBAL - known)


# ── What the pages describe ───────────────────────────────────────────────────────────────────────


def documented() -> dict[str, dict[str, str]]:
    """What docs/parameters.md says: name to variable, default and meaning. Settings among them."""
    found = {}
    for table in re.findall(r"((?:^\|.*\n)+)", (ROOT / "docs/parameters.md").read_text(), flags=re.MULTILINE):
        header = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]
        for cells in rows(table):
            one = dict(zip(header, cells, strict=True))
            name = (one.get("parameter") or one.get("setting")).strip("`")
            assert name not in found, name
            found[name] = one
    return found


def test_every_parameter_is_documented_in_the_order_of_the_template():
    pages = [name for name, one in documented().items() if "parameter" in one]
    assert [name for name in pages if name in TEMPLATE["Parameters"]] == list(TEMPLATE["Parameters"])
    assert set(pages) <= set(TEMPLATE["Parameters"])


def test_every_default_and_variable_is_the_template_s():
    variables = TEMPLATE["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
    variable_of = {value["Ref"]: name for name, value in variables.items() if "Ref" in value}
    for name, parameter in TEMPLATE["Parameters"].items():
        one = documented()[name]
        default = str(parameter.get("Default", ""))
        # Two are told in words.
        told = {"Recipe": "AWS's", "OperationsEmail": "`NotificationEmail`"}.get(name, default and f"`{default}`")
        assert one["default"] == told, name
        if name in variable_of:
            assert one["variable"] == f"`{variable_of[name]}`", name
        else:
            assert "variable" not in one or not one["variable"], name


def test_every_setting_is_documented():
    source = (ROOT / "crates/root-usage/src/config.rs").read_text()
    settings = re.search(r"pub const SETTINGS: \[&str; \d+\] =\s*\[(.*?)\];", source, flags=re.DOTALL)[1]
    told = [name for name, one in documented().items() if "setting" in one]
    names = re.findall(r'"(\w+)"', settings)
    assert [name for name in told if name in names] == names
    assert set(told) <= set(names)


def test_incidents_are_told_as_fast_as_the_template_says():
    text = (ROOT / "docs/incidents.md").read_text()
    quiet, update = (TEMPLATE["Parameters"][name]["Default"] for name in ("QuietMinutes", "UpdateMinutes"))
    assert f"`QuietMinutes` ({quiet})" in text
    assert f"{update} minutes (`UpdateMinutes`)" in text
    # Reads wait for the longest that a change may.
    assert f"; {TEMPLATE['Parameters']['UpdateMinutes']['MaxValue']} minutes after the first read" in text


def test_every_alarm_is_in_the_table_of_failures():
    text = (ROOT / "docs/failure.md").read_text().split("\n## Alarms\n")[1].split("\n## ")[0]
    told = set(re.findall(r"`(…-[a-z-]+)`", text))
    alarms = [one["Properties"] for one in TEMPLATE["Resources"].values() if one["Type"].startswith("AWS::CloudWatch::")]
    names = {one["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}", "…") for one in alarms if "Fn::Sub" in one["AlarmName"]}
    assert told == names
    # In the table those that notify somebody.
    notifying = {
        one["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}", "…")
        for one in alarms
        if "AlarmActions" in one and "Fn::Sub" in one["AlarmName"]
    }
    assert {cells[0].strip("`") for cells in rows(text)} == notifying | {"Root Account Usage"}


def alarms(**parameters) -> set[str]:
    """The alarms that somebody is told of, with a pager and these parameters."""
    pager = "PAGER_TOPIC_ARN=arn:aws:sns:eu-central-1:111122223333:pager"
    parameters["Settings"] = ";".join(filter(None, [pager, parameters.get("Settings")]))
    found = [one["Properties"] for one in expand(**parameters)["Resources"].values() if one["Type"].startswith("AWS::CloudWatch::")]
    return {one["AlarmName"].replace("root-usage-alert-", "…-") for one in found if "AlarmActions" in one}


def test_what_a_choice_leaves_out_of_the_alarms_is_listed():
    text = (ROOT / "docs/parameters.md").read_text()
    metrics, heard = alarms() - alarms(Settings="METRICS=off"), alarms() - alarms(Alarms="all-but-silence")
    assert set(re.findall("`(…-[a-z-]+)`", documented()["METRICS"]["meaning"])) == metrics
    (line,) = re.findall("^With `METRICS=off`.*$", (ROOT / "docs/incidents.md").read_text(), re.MULTILINE)
    # Those of the comparison are not about incidents.
    assert set(re.findall("`(…-[a-z-]+)`", line)) == metrics - {"…-not-reported"}

    assert set(re.findall("`(…-[a-z-]+)`", documented()["Alarms"]["meaning"])) == heard
    assert alarms() - alarms(Alarms="most") == {"…-not-reported"} and "`most` leaves out `…-not-reported`;" in text
    assert heard <= alarms(Alarms="few") and heard & alarms(Alarms="few-but-silence") == set()
    assert heard - metrics == {"…-silence"} and "leaves out `…-deaf` and `…-unread` as well, but not `…-silence`" in text


def test_a_mail_of_the_whole_way_comes_as_seldom_as_the_page_says():
    source = (ROOT / "crates/root-usage/src/handler/memory.rs").read_text()
    # The test of the way has the pause of all that others can cause; the other test has one of its own.
    (minutes,) = re.findall(r"^const PAUSE: Duration = Duration::from_secs\((\d+) \* 60\);", source, re.MULTILINE)
    (test,) = re.findall(r"^const TEST_PAUSE: Duration = Duration::from_secs\((\d+)\);", source, re.MULTILINE)
    assert "if *self == Self::Test { TEST_PAUSE } else { PAUSE }" in source
    text = " ".join((ROOT / "docs/deploy.md").read_text().split())
    assert f"There is at most one such mail in {minutes} minutes from each instance of the function" in text
    assert int(test) == 60 and "The function sends at most one a minute, and `make deploy` sends one." in text


def test_every_line_to_edit_is_listed():
    lines = re.findall(r"# EDIT", (ROOT / "template.yaml").read_text())
    text = (ROOT / "docs/deploy.md").read_text().split("\n### Edit the template\n")[1].split("\n##")[0]
    assert len(rows(text)) == len(lines)


def test_every_command_of_root_usage_is_listed():
    commands = {path.stem.strip("_") for path in (ROOT / "crates/cli/src").glob("*.rs")} - {"main", "terminal"} | {"scan"}
    told = {shlex.split(cells[0].strip("`"))[1] for cells in rows((ROOT / "docs/command.md").read_text())}
    assert told == commands
