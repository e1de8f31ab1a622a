"""Each statement of the stack: who needs it for which call, what it applies to, and that it is no broader.

statements.tsv has a row for each action of each statement; requests.tsv has calls that a statement is about and calls that
it is not about. A statement that became broader (one condition less, any action, any resource, anybody) would be about one
of the latter.
"""

import csv
import pathlib

import pytest

from expansion import EVERYTHING, as_list, expand
from iam import Invalid, Request, allowed, applies, holds, statements, widened

HERE = pathlib.Path(__file__).parent
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
STACKS = {
    "default": {},
    "everything": EVERYTHING,
    "given-key": {"AlertKey": KEY},
    "least": {"Alarms": "few-but-silence", "Settings": "HISTORY_MINUTES=0", "NotificationEmail": ""},
}


def rows(name):
    with (HERE / name).open() as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))


ROWS, REQUESTS = rows("statements.tsv"), rows("requests.tsv")


@pytest.fixture(scope="module")
def stacks():
    return {name: (*statements(stack), stack) for name, stack in ((name, expand(**given)) for name, given in STACKS.items())}


def resolved(text, arns, stack):
    """A cell with ARNs in it."""
    for placeholder, arn in arns.items():
        text = text.replace(placeholder, arn)
    group = stack["Resources"]["Subscription"]["Properties"]["LogGroupName"]
    return text.replace("LOGGROUP", arns.get(group, group))


def request(row, arns, stack):
    cells = {name: resolved(row[name], arns, stack) for name in ("who", "on", "context")}
    context = tuple(tuple(one.split("=", 1)) for one in cells["context"].split()) if row["context"] != "-" else ()
    return Request(cells["who"], row["action"], cells["on"], context)


def about(row, statement):
    return (row["resource"], row["sid"]) == (statement.resource, statement.sid)


# ── IAM's evaluation itself ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "operator, found, value, expected",
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "*", False),
        ("StringEquals", "A", "a", False),
        ("StringEquals", None, "a", False),
        ("StringLike", "sns.eu-central-1.amazonaws.com", "sns.eu-central-1.*", True),
        ("StringLike", "sns.eu-central-10.amazonaws.com", "sns.eu-central-1.*", False),
        ("StringLike", "ab", "a?", True),
        ("StringLike", None, "*", False),
        ("Bool", "false", "false", True),
        ("Bool", None, "false", False),
        ("ArnEquals", "arn:aws:s:r:1:x/y", "arn:aws:s:r:1:x/*", True),
        ("ArnLike", "arn:aws:s:r:1:x:y", "arn:aws:s:r:1:x:*", True),
        # A star goes over no colon but in the last part.
        ("ArnLike", "arn:aws:s:r:1:x", "arn:aws:*:x", False),
        ("ArnLike", "arn:aws:s:r:1:x", "arn:aws:s:*:1:x", True),
        ("ArnNotEquals", "arn:aws:s:r:1:x", "arn:aws:s:r:1:x", False),
        ("ArnNotEquals", "arn:aws:s:r:1:y", "arn:aws:s:r:1:x", True),
        # What isn't there is not equal.
        ("ArnNotEquals", None, "arn:aws:s:r:1:x", True),
    ],
)
def test_conditions_hold_as_iam_says(operator, found, value, expected):
    assert holds(operator, found, [value]) is expected


def test_what_is_not_evaluated_is_an_error():
    with pytest.raises(Invalid):
        holds("ForAllValues:StringEquals", "a", ["a"])
    stack = expand()
    stack["Resources"]["AlertTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["NotAction"] = "sns:*"
    with pytest.raises(Invalid):
        statements(stack)
    stack = expand()
    stack["Resources"]["Other"] = {"Type": "AWS::ECR::Repository", "Properties": {"Text": {"Statement": []}}}
    with pytest.raises(Invalid):
        statements(stack)


# ── Who needs what ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", STACKS)
def test_each_action_of_each_statement_has_its_row(name, stacks):
    found, arns, stack = stacks[name]
    there = sorted(
        (
            one.resource,
            one.sid,
            one.body["Effect"],
            action,
            " ".join(as_list(one.body.get("Resource", []))) or "-",
            " ".join(sorted(key for wanted in one.body.get("Condition", {}).values() for key in wanted)) or "-",
        )
        for one in found
        for action in as_list(one.body["Action"])
    )
    expected = sorted(
        (row["resource"], row["sid"], row["effect"], row["action"], resolved(row["on"], arns, stack), row["conditions"])
        for row in ROWS
        if row["stack"] == "any" or name in row["stack"].split()
    )
    assert there == expected


def test_each_row_says_who_needs_it_and_for_what():
    for row in ROWS:
        assert row["stack"] == "any" or set(row["stack"].split()) <= STACKS.keys(), row
        assert row["who"] and row["why"] and None not in row.values(), row


# ── What they apply to ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", REQUESTS, ids=lambda row: f"{row['resource']}-{row['sid']}: {row['what']}")
def test_statement_is_about_this_call_or_not(row, stacks):
    tried = 0
    # The key that was there before has no policy of this stack's.
    for found, arns, stack in (stacks["default"], stacks["everything"]):
        for one in found:
            if about(row, one):
                tried += 1
                expected = {"yes": True, "no": False, "account": "account"}[row["applies"]]
                assert applies(one, request(row, arns, stack)) is expected, one.text
    assert tried


def test_each_statement_has_calls_that_it_is_about_and_each_action_too():
    for row in ROWS:
        same = [one for one in REQUESTS if (one["resource"], one["sid"]) == (row["resource"], row["sid"])]
        applied = {one["action"] for one in same if one["applies"] != "no"}
        assert applied, row
        assert any(one["applies"] == "no" for one in same), row
        # Of those that are denied some will do: the list itself is compared with the table of actions.
        if row["effect"] == "Allow" and "*" not in row["action"] and row["sid"] != "OwnerAccountOnly":
            assert row["action"] in applied, row


def test_no_statement_could_be_broader_without_notice(stacks):
    unnoticed = []
    for found, arns, stack in (stacks["default"], stacks["everything"]):
        for one in found:
            tried = [row for row in REQUESTS if about(row, one) and row["applies"] == "no"]
            for what, broader in widened(one):
                if not any(applies(broader, request(row, arns, stack)) for row in tried):
                    unnoticed.append((one.resource, one.sid, what))
    assert unnoticed == []


# ── What follows from all of them together ──────────────────────────────────────────────────────────

SNS = ("kms:ViaService", "sns.eu-central-1.amazonaws.com")
FOR_ALERTS = ("kms:EncryptionContext:aws:sns:topicArn", "<AlertTopic.Arn>")
FUNCTION = "<AlertFunctionRole.Arn>"


@pytest.mark.parametrize(
    "who, action, on, context, expected",
    [
        (FUNCTION, "sns:Publish", "<AlertTopic.Arn>", [], True),
        (FUNCTION, "sns:Publish", "<AlertTopic.Arn>", [("aws:SecureTransport", "false")], False),
        (FUNCTION, "sns:Publish", "<OperationsTopic.Arn>", [], False),
        (FUNCTION, "kms:GenerateDataKey", "<AlertTopicKey.Arn>", [SNS, FOR_ALERTS], True),
        (FUNCTION, "kms:Decrypt", "<AlertTopicKey.Arn>", [SNS, FOR_ALERTS], True),
        (FUNCTION, "kms:Decrypt", "<AlertTopicKey.Arn>", [FOR_ALERTS], False),
        (FUNCTION, "kms:Decrypt", "<AlertTopicKey.Arn>", [SNS, (FOR_ALERTS[0], "arn:aws:sns:eu-central-1:111122223333:other")], False),
        (FUNCTION, "kms:DisableKey", "<AlertTopicKey.Arn>", [], False),
        ("user", "kms:DisableKey", "<AlertTopicKey.Arn>", [], True),
        ("stranger", "kms:Decrypt", "<AlertTopicKey.Arn>", [SNS, FOR_ALERTS], False),
        (FUNCTION, "sqs:SendMessage", "<DeadLetterQueue.Arn>", [], True),
        (FUNCTION, "sqs:SendMessage", "<DeadLetterQueue.Arn>", [("aws:SecureTransport", "false")], False),
        ("user", "sqs:SendMessage", "<DeadLetterQueue.Arn>", [], False),
        ("stranger", "sqs:SendMessage", "<DeadLetterQueue.Arn>", [], False),
        ("user", "sqs:ReceiveMessage", "<DeadLetterQueue.Arn>", [], True),
        (FUNCTION, "sqs:ReceiveMessage", "<DeadLetterQueue.Arn>", [], False),
        (FUNCTION, "dynamodb:Query", "<LedgerTable.Arn>", [], True),
        (FUNCTION, "dynamodb:Scan", "<LedgerTable.Arn>", [], False),
        ("user", "dynamodb:Scan", "<LedgerTable.Arn>", [], False),
        ("user", "dynamodb:DeleteTable", "<LedgerTable.Arn>", [], True),
        ("stranger", "dynamodb:DeleteTable", "<LedgerTable.Arn>", [], False),
        ("stranger", "sns:Publish", "<AlertTopic.Arn>", [], False),
        ("stranger", "sns:Subscribe", "<OperationsTopic.Arn>", [], False),
        ("user", "sns:Publish", "<AlertTopic.Arn>", [], True),
        ("cloudwatch.amazonaws.com", "sns:Publish", "<AlertTopic.Arn>", [("aws:SourceAccount", "111122223333")], False),
        ("cloudwatch.amazonaws.com", "sns:Publish", "<OperationsTopic.Arn>", [], False),
        (FUNCTION, "lambda:InvokeFunction", "<AlertFunction.Arn>", [], False),
        # As CloudFormation does for whoever deletes the stack.
        ("user", "lambda:InvokeFunction", "<AlertFunction.Arn>", [], True),
        ("stranger", "lambda:InvokeFunction", "<AlertFunction.Arn>", [], False),
        ("lambda.amazonaws.com", "sts:AssumeRole", FUNCTION, [], True),
        ("user", "sts:AssumeRole", FUNCTION, [], False),
        (FUNCTION, "iam:PassRole", FUNCTION, [], False),
        (FUNCTION, "s3:GetObject", "<TrailBucket.Arn>/AWSLogs/111122223333/x", [], False),
        (FUNCTION, "logs:PutLogEvents", "arn:aws:logs:eu-central-1:111122223333:log-group:<TrailLogGroup>:log-stream:x", [], False),
        ("cloudtrail.amazonaws.com", "s3:PutObject", "<TrailBucket.Arn>/AWSLogs/111122223333/x", [], False),
    ],
)
def test_the_policies_together_allow_what_is_needed_and_nothing_else(who, action, on, context, expected, stacks):
    found, arns, stack = stacks["everything"]
    put = [(key, resolved(value, arns, stack)) for key, value in context]
    assert allowed(found, Request(resolved(who, arns, stack), action, resolved(on, arns, stack), tuple(put))) is expected


@pytest.mark.parametrize("context, expected", [([SNS, FOR_ALERTS], True), ([FOR_ALERTS], False), ([SNS], False)])
def test_a_key_that_was_there_before_is_used_for_this_topic_only(context, expected, stacks):
    found, arns, stack = stacks["given-key"]
    put = tuple((key, resolved(value, arns, stack)) for key, value in context)
    assert allowed(found, Request(arns[FUNCTION], "kms:GenerateDataKey", KEY, put)) is expected
    assert not allowed(found, Request(arns[FUNCTION], "kms:GenerateDataKey", f"{KEY}0", put))


def test_without_a_key_the_function_may_use_none(stacks):
    found, arns, stack = stacks["least"]
    put = tuple((key, resolved(value, arns, stack)) for key, value in [SNS, FOR_ALERTS])
    assert not allowed(found, Request(arns[FUNCTION], "kms:GenerateDataKey", KEY, put))
    assert not allowed(found, Request(arns[FUNCTION], "cloudtrail:LookupEvents", "*", ()))
