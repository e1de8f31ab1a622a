"""Nothing that others wrote becomes a link, a number to dial, markup or a mention, whatever shows the alert.

Records with hostile text in every field go through the command `root-usage`, as raw Lambda events; what comes out (the
mail, its subject, the line for a phone, each text of the JSON document) goes through linkify-it, the linkifier of many
chat and mail programs, with all of its guesses on and every top-level domain; through CommonMark (markdown-it-py) and
Python-Markdown; through libphonenumber; and through Slack's rules.

`LINK_CASES` is how many events there are for each choice of settings, `LINK_SEED` where they begin.
"""

import html
import json
import os
import pathlib
import re
import subprocess

import hostile
import pytest
import shown

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = int(os.environ.get("LINK_CASES", "30"))
SEED = int(os.environ.get("LINK_SEED", "1"))
BUILD_SECONDS = 1500
RUN_SECONDS = 300

# The digits that a telephone number of the hostile texts can't be dialled without.
DIGITS = sorted({re.sub(r"[^0-9]", "", phone.split("x")[0].split("ext")[0])[-8:] for phone in hostile.PHONES})

# A command of ours in a chat channel; what it is about is checked as the mail's.
COMMAND = re.compile(r"`aws [^`\n]*`")

NAMES = "111122223333=payments-prod,444455556666=Sandbox 2, 777788889999=R_D"

SETTINGS = [
    {"ALERT_LANGUAGE": "en", "RULES": "root-usage,cis", "RUNBOOK_URL": shown.RUNBOOK, "HTTPS_FORMAT": "amazon-q"},
    {"ALERT_LANGUAGE": "ja", "RULES": "root-usage,cis", "ALERT_TIME_ZONE": "Asia/Tokyo", "ACCOUNT_NAMES": NAMES, "HTTPS_FORMAT": "amazon-q"},
    {"ALERT_LANGUAGE": "en", "RULES": "root-usage", "MASK_ACCESS_KEYS": "false"},
]


def named(settings):
    return "-".join(value for name, value in settings.items() if name not in ("RUNBOOK_URL", "ACCOUNT_NAMES", "HTTPS_FORMAT")).replace("/", "-")


@pytest.fixture(scope="session")
def command():
    build = ["cargo", "build", "--locked", "--quiet", "-p", "root-usage-cli"]
    subprocess.run([*build, "--message-format", "short"], cwd=ROOT, check=True, timeout=BUILD_SECONDS)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "debug" / "root-usage")


def mails(command, settings, events, folder, history=None, form=("--at-once", "--json")):
    """What the command prints for these events."""
    arguments = [command, "run", *form]
    if history is not None:
        (folder / "history.jsonl").write_text(history)
        arguments += ["--history", str(folder / "history.jsonl")]
    for index, event in enumerate(events):
        (folder / f"{index}.json").write_text(json.dumps(event))
        arguments.append(str(folder / f"{index}.json"))
    environment = {name: value for name, value in os.environ.items() if not name.isupper() or name == "PATH"}
    done = subprocess.run(arguments, env=environment | settings, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode in (0, 2), done.stderr
    return done.stdout


def messages(out):
    """The messages in JSON lines, with the number of the file that each is of."""
    for line in out.splitlines():
        line = json.loads(line)
        for message in line.get("messages") or [line.get("message")]:
            if message is not None:
                # What becomes due between files is of several.
                yield int(pathlib.Path(line["file"]).stem) if line["file"] else None, message


def texts(value, path=()):
    """Each text of a JSON document that isn't a link or a command of ours, with its path."""
    if isinstance(value, str):
        if not {"link", "links", "command"} & set(path):
            yield path, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from texts(each, (*path, name))
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, path)


def flat(value, name=""):
    """Each link of a document, with its name."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "link" and each:
                yield f"{name}.{key}", each
            elif key == "links":
                # `missing` says why there are none.
                yield from ((f"{name}.links.{page}", link) for page, link in each.items() if link and page != "missing")
            else:
                yield from flat(each, f"{name}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from flat(each, name)


def findings(message, sources, allowed):
    """All that a program could make of a message and that isn't ours."""
    document = json.loads(message["document"])
    parts = [(("text",), message["text"]), (("subject",), message["subject"]), (("sms",), message["sms"]), *texts(document, ("document",))]
    if chat := message.get("chat"):
        parts += [(path, COMMAND.sub("", text)) for path, text in texts(json.loads(chat), ("chat",))]
    # An incident's own tag, as in the subject, is ours.
    tag = f" #{(document.get('incident') or {}).get('id')}"
    for path, text in parts:
        text = text.replace(tag, "")
        checks = [shown.links(text, sources), shown.markup(text, sources, allowed), shown.dialled(text, DIGITS), shown.slack(text, sources), shown.unprintable(text)]
        for check in checks:
            for found in check:
                yield path, found, text
    for name, link in flat(document):
        if not shown.OURS.fullmatch(link):
            yield (name,), ("link", link), link


@pytest.fixture(scope="session")
def harmless(command, tmp_path_factory):
    """The elements that Markdown makes of mails with ordinary values: paragraphs, lists."""
    found = set()
    for settings in SETTINGS:
        writer = hostile.Writer(SEED, hostile=False)
        events = [writer.event() for _ in range(20)]
        history, sources = writer.history(40)
        out = mails(command, settings, [event for event, _ in events], tmp_path_factory.mktemp("harmless"), history)
        for _, message in messages(out):
            found |= {tag for tag, _ in shown.tags(message["text"])}
    return found - {"a"}


def check(found, described):
    """Nothing was found; else each kind of thing once, with the first text it was in."""
    first = {str(what): (path, text) for path, what, text in reversed(found)}
    lines = [f"{what}\n    {'.'.join(path)}: {text[:300]!r}" for what, (path, text) in list(first.items())[:20]]
    assert not found, "\n".join(lines) + f"\n{described}"


def test_ordinary_values_make_nothing_but_paragraphs_and_lists(harmless):
    assert harmless <= {"p", "ol", "ul", "li", "br", "hr"}, harmless


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_ordinary_values_are_shown_as_they_are(settings, command, tmp_path):
    writer = hostile.Writer(SEED, hostile=False)
    out = mails(command, settings, [writer.event()[0] for _ in range(40)], tmp_path)
    for _, message in messages(out):
        document = json.loads(message["document"])
        for path, text in texts(document, ("document",)):
            assert not re.search(r"\{U\+|\{\}|\[[.:@#&]\]|\[//\]", text), (path, text)


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
@pytest.mark.parametrize("history", [False, True], ids=["alone", "history"])
def test_only_our_own_links_link(settings, history, command, harmless, tmp_path):
    writer = hostile.Writer(SEED)
    past, more = writer.history(60) if history else (None, set())
    events = [writer.event() for _ in range(CASES // 2 if history else CASES)]
    out = mails(command, settings, [event for event, _ in events], tmp_path, past)
    told = list(messages(out))
    assert len(told) > len(events) / 2, out[:2000]
    if history:
        assert any('"looked-up"' in message["document"] for _, message in told)
    for index, message in told:
        event, sources = events[index]
        check(list(findings(message, sources | more, harmless)), f"event {index} of seed {SEED}: {json.dumps(event)}")


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_only_our_own_links_link_in_what_waits_and_in_the_last_mail(settings, command, harmless, tmp_path):
    writer = hostile.Writer(SEED)
    # Each twice: the second has the same records under other ids, so it waits, and the last mail repeats both.
    events = [writer.event() for _ in range(CASES // 2)]
    sources = set().union(*(sources for _, sources in events))
    again = [hostile.raw(hostile.again(event)) for event, _ in events]
    out = mails(command, settings, [each for pair in zip([event for event, _ in events], again) for each in pair], tmp_path, form=("--json",))
    told = [message for _, message in messages(out)]
    kinds = {(json.loads(message["document"]).get("incident") or {}).get("kind") for message in told}
    assert {"first", "closing"} <= kinds, kinds
    for message in told:
        check(list(findings(message, sources, harmless)), f"seed {SEED}")


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=named)
def test_an_accounts_name_is_neither_link_nor_markup(settings, command, harmless, tmp_path):
    # Whoever may rename an account writes it; all else is ordinary.
    writer, others = hostile.Writer(SEED), hostile.Writer(SEED, hostile=False)
    for _ in range(CASES):
        event, sources = others.event()
        names = ",".join(f"{account}={writer.account_name()}" for account in hostile.ORDINARY["account"])
        for _, message in messages(mails(command, settings | {"ACCOUNT_NAMES": names}, [event], tmp_path)):
            check(list(findings(message, sources, harmless)), f"{names} of seed {SEED}: {json.dumps(event)}")


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_a_person_is_shown_the_same(settings, command, tmp_path):
    # One event at a time: what anyone can cause is limited by the clock.
    writer = hostile.Writer(SEED)
    for _ in range(5):
        event, _ = writer.event()
        printed = mails(command, settings, [event], tmp_path, form=("--at-once",))
        for _, message in messages(mails(command, settings, [event], tmp_path)):
            assert f"Subject: {message['subject']}\n" in printed and message["text"] in printed


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_operators_own_runbook_is_one_link(language, command, tmp_path):
    event, _ = hostile.Writer(SEED, hostile=False).event()
    out = mails(command, {"ALERT_LANGUAGE": language, "RUNBOOK_URL": shown.RUNBOOK}, [event], tmp_path)
    told = [message["text"] for _, message in messages(out)]
    assert told
    for text in told:
        assert shown.RUNBOOK in [match.url for match in shown.LINKIFIER.match(text)]
        linked = [attributes["href"] for tag, attributes in shown.tags(text) if tag == "a"]
        assert shown.RUNBOOK in [html.unescape(link) for link in linked]


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=["en", "ja"])
def test_a_batch_that_cannot_be_read_has_no_links_either(settings, command, harmless, tmp_path):
    for seed in range(max(4, CASES // 10)):
        writer = hostile.Writer(SEED + seed)
        out = mails(command, settings, [writer.damaged(), hostile.raw({"messageType": "CONTROL_MESSAGE"})], tmp_path)
        told = list(messages(out))
        assert len(told) == 1, out
        check(list(findings(told[0][1], set(), harmless)), f"seed {SEED + seed}")


@pytest.mark.parametrize(
    "kind, text",
    [
        ("link", "see evil.zip"), ("link", "x 203.0.113.9:80"), ("link", "https://console.aws.amazon.com/evil"), ("link", "//localhost"), ("link", "tel:110"), ("link", "me@evil.jp"), ("link", "例え.jp"),
        ("markup", "x (_x_)"), ("markup", "x <b>y"), ("markup", "call [#](800) 555"), ("telephone number", "0120-828-828"), ("telephone number", "call 18005550199"),
        ("emphasis", "x *y* z"), ("mention", "@here"), ("mention", "see #general"), ("emoji", "a :smile: b"), ("entity", "a&lt;b"), ("character", "a\u202eb"),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_looks_for(kind, text, harmless):
    message = {"text": text, "subject": "x", "sms": "x", "document": "{}"}
    assert kind in {found[0] for _, found, _ in findings(message, {"203.0.113.9"}, harmless)}
