"""Accounts' names from AWS Organizations, by the function's own process against a real HTTP endpoint. Whatever that does, the
mail goes out, in time, with the digits at least.
"""

import json
import time

import pytest

from conftest import EVENTS
from test_function import ROOT_EVENT, TAKEN, binary, function  # noqa: F401 (binary is a fixture)
from test_history import BESIDE_SECONDS, break_off, cloudtrail, garbage, mail, refusal, stall

ACCOUNT = "111122223333"
OTHER_EVENT = (EVENTS / "root-sign-in-without-mfa.json").read_text()
TIMEOUT_MS = 1500
POLICY = "p-examplepolicyid1"
COMMAND = f"aws organizations attach-policy --policy-id {POLICY} --target-id {ACCOUNT}"
FAILED = "no names of accounts for 15 minutes"


def described(name, management="777788889999"):
    """DescribeAccount's answer: the account's ARN is the management account's."""

    def behave(handler, body):
        account = {
            "Id": body["AccountId"],
            "Arn": f"arn:aws:organizations::{management}:account/o-exampleorgid/{body['AccountId']}",
            "Email": "nobody@example.com",
            "Name": name,
            "Status": "ACTIVE",
            "State": "ACTIVE",
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1481835795.536,
        }
        handler.reply(200, json.dumps({"Account": account}))

    return behave


# What Organizations does; how the subject begins; what the mail calls the account; what the log says of it, once; how many
# requests two mails make; whether the mail has the command that locks root out.
ANSWERS = [
    ("finds it", described("payments-prod"), "[CRITICAL] payments-prod: ", f"payments-prod ({ACCOUNT})", None, 1, True),
    ("finds the management account", described("root org", ACCOUNT), "[CRITICAL] root org: ", f"root org ({ACCOUNT})", None, 1, False),
    ("has a name not for a subject", described("\u672c\u756a"), f"[CRITICAL] {ACCOUNT}: ", f"\u672c\u756a ({ACCOUNT})", None, 1, True),
    ("has a name that forges", described("x\nOutcome: https://evil.example"), f"[CRITICAL] {ACCOUNT}: ", f'"x{{U+000A}}Outcome[:] https[:][//]evil[.]example" ({ACCOUNT})', None, 1, True),
    ("denies", refusal("AccessDeniedException"), f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, 1, True),
    ("is not in use", refusal("AWSOrganizationsNotInUseException"), f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, 1, True),
    ("knows no such account", refusal("AccountNotFoundException"), f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, "the organization has no such account", 1, True),
    ("throttles", refusal("TooManyRequestsException"), f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, 2, True),
    ("never answers", stall, f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, 1, True),
    ("breaks off in the middle", break_off, f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, None, True),
    ("answers what is no JSON", garbage, f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, None, True),
    ("answers nothing", lambda handler, body: handler.reply(200, "{}"), f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, 1, True),
    ("is not there", None, f"[CRITICAL] {ACCOUNT}: ", ACCOUNT, FAILED, None, True),
]


@pytest.mark.parametrize("behave, subject, called, logged, requests, locks", [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_an_account_has_its_name_or_its_digits(behave, subject, called, logged, requests, locks, binary, tmp_path):
    variables = {
        "ACCOUNT_NAMES": "organization",
        "SETTINGS": f"LOCKDOWN_POLICY_ID={POLICY};HISTORY_TIMEOUT_MS={TIMEOUT_MS}",
    }
    with cloudtrail(behave) as (server, url), function(binary, tmp_path, [TAKEN], AWS_ENDPOINT_URL_ORGANIZATIONS=url, **variables) as stub:
        # What is known is not asked for again, a failure neither.
        for event, seconds in ((ROOT_EVENT, TIMEOUT_MS / 1000 + BESIDE_SECONDS), (OTHER_EVENT, 1)):
            begun = time.monotonic()
            kind, report = stub.invoke(event)
            took = time.monotonic() - begun
            assert (kind, report["mails"]) == ("response", 1), report
            assert took < seconds
            assert stub.published[-1]["Subject"].startswith(subject)
            text = mail(stub)
            (line,) = [line for line in text.splitlines() if line.startswith("  Account ")]
            assert line == f"  Account   {called}"
            assert (COMMAND in text) == locks
            assert ("no policy has effect there" in text) == (locks and logged is not None)
        if logged:
            (line,) = [line for line in stub.log().splitlines() if logged in line]
            assert json.loads(line)["level"] == "WARN"
        assert "nobody@example.com" not in stub.log() + json.dumps(stub.published)
        if requests is not None:
            assert [(target, body) for _, target, _, body in server.requests] == [
                ("AWSOrganizationsV20161128.DescribeAccount", {"AccountId": ACCOUNT})
            ] * requests


def test_names_are_asked_for_beside_the_history(binary, tmp_path):
    with cloudtrail(stall) as (_, history), cloudtrail(stall) as (_, names), function(
        binary,
        tmp_path,
        [TAKEN],
        ACCOUNT_NAMES="organization",
        HISTORY_MINUTES="60",
        HISTORY_TIMEOUT_MS="6000",
        AWS_ENDPOINT_URL_CLOUDTRAIL=history,
        AWS_ENDPOINT_URL_ORGANIZATIONS=names,
    ) as stub:
        begun = time.monotonic()
        assert stub.invoke(ROOT_EVENT)[0] == "response"
        assert 6 < time.monotonic() - begun < 6 + BESIDE_SECONDS
        assert "gave no answer in time" in mail(stub)


def test_nobody_is_asked_without_the_parameter_or_without_an_alert(binary, tmp_path):
    rows = [("none", ROOT_EVENT, f"[CRITICAL] {ACCOUNT}: "), (f"{ACCOUNT}=listed", ROOT_EVENT, "[CRITICAL] listed: "), ("organization", (EVENTS / "iam-user.json").read_text(), None)]
    for number, (names, event, subject) in enumerate(rows):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        with cloudtrail(described("x")) as (server, url), function(binary, scratch, [TAKEN], ACCOUNT_NAMES=names, AWS_ENDPOINT_URL_ORGANIZATIONS=url) as stub:
            stub.invoke(event)
            assert server.requests == []
            assert [published["Subject"][: len(subject or "")] for published in stub.published] == ([subject] if subject else [])
