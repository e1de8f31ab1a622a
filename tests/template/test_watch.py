"""The rules that tell who changes the stack: each pattern over a table of calls, each sentence, and who may publish it."""

import json

import pytest

from calls import STACKS, calls, watching
from eventbridge import Invalid, check, length, look_up, matches, transform
from expansion import EVERYTHING, PSEUDO, expand

BY_CLOUDFORMATION = "cloudformation.amazonaws.com"


@pytest.fixture(scope="module", params=STACKS)
def stack(request):
    return request.param


@pytest.fixture(scope="module")
def resources(stack):
    return expand(**STACKS[stack])["Resources"]


@pytest.fixture(scope="module")
def rules(resources):
    return watching(resources)


def telling(rules, event):
    """The rules that an event matches."""
    return [name for name, rule in rules.items() if matches(rule["EventPattern"], event)]


# ── EventBridge's matching itself ───────────────────────────────────────────────────────────────────

EVENT = {"a": "one", "list": ["x", "y"], "in": {"b": "two"}, "objects": [{"k": "1", "v": "p"}, {"k": "2", "v": "q"}]}


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ({"a": ["one"]}, True),
        ({"a": ["On"]}, False),
        ({"a": ["two", "one"]}, True),
        ({"a": [{"prefix": "on"}]}, True),
        ({"a": [{"suffix": "on"}]}, False),
        ({"a": [{"suffix": "ne"}]}, True),
        ({"a": [{"wildcard": "o*e"}]}, True),
        ({"a": [{"wildcard": "o*n"}]}, False),
        ({"a": [{"wildcard": "*"}]}, True),
        ({"a": [{"anything-but": ["one"]}]}, False),
        ({"a": [{"anything-but": ["two"]}]}, True),
        ({"a": [{"anything-but": {"prefix": "o"}}]}, False),
        ({"none": [{"anything-but": ["one"]}]}, False),
        ({"none": [{"exists": False}]}, True),
        ({"none": [{"exists": False}, {"anything-but": ["one"]}]}, True),
        ({"a": [{"exists": False}]}, False),
        ({"in": {"b": [{"exists": True}]}}, True),
        ({"in": {"c": [{"exists": False}]}}, True),
        ({"none": {"c": [{"exists": False}]}}, True),
        ({"list": ["y"]}, True),
        ({"list": ["z"]}, False),
        ({"list": ["x"], "in": {"b": ["two"]}}, True),
        ({"list": ["x"], "in": {"b": ["one"]}}, False),
        ({"objects": {"k": ["1"], "v": ["p"]}}, True),
        ({"objects": {"k": ["1"], "v": ["q"]}}, False),
        ({"$or": [{"a": ["two"]}, {"in": {"b": ["two"]}}]}, True),
        ({"$or": [{"a": ["two"]}, {"in": {"b": ["one"]}}]}, False),
        ({"list": ["x"], "$or": [{"a": ["two"]}, {"a": ["one"]}]}, True),
    ],
)
def test_a_pattern_matches_as_in_eventbridge(pattern, expected):
    assert matches(pattern, EVENT) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"a": "one"},
        {"a": []},
        {"a": [{"prefix": "o", "suffix": "e"}]},
        {"a": [{"regex": "o.e"}]},
        {"$or": [{"a": ["one"]}]},
        {"a": ["one"], "$or": [{"a": ["two"]}, {"b": ["two"]}]},
        {"in": {"b": ["one"]}, "$or": [{"in": {"b": ["two"]}}, {"a": ["two"]}]},
    ],
)
def test_a_pattern_that_eventbridge_refuses_or_misreads_is_none(pattern):
    with pytest.raises(Invalid):
        check(pattern)


# ── What is told ────────────────────────────────────────────────────────────────────────────────────


def test_each_call_on_the_stack_is_told_by_one_rule_and_no_other_call_is(stack, rules):
    wrong = [
        (call.service, call.name, call.parameters, told)
        for call in calls(stack)
        if (told := telling(rules, call.event())) != ([call.rule] if call.rule else [])
    ]
    assert wrong == []


def test_the_table_has_a_call_for_each_rule_and_each_name_in_it(stack, rules):
    def names(pattern):
        """What a pattern says of eventName, beside and in `$or`."""
        own = pattern.get("eventName", [])
        return [*own, *(name for one in pattern.get("$or", []) for name in names(one))]

    told = [call for call in calls(stack) if call.rule]
    assert {call.rule for call in told} == set(rules)
    for name, rule in rules.items():
        for wanted in names(rule["EventPattern"]["detail"]):
            pattern = {"name": [wanted]}
            assert any(matches(pattern, {"name": call.name}) for call in told if call.rule == name), (name, wanted)


# Who or what is left out: each for the same calls.
UNTOLD = {
    "by CloudFormation, for this stack": {"sourceIPAddress": BY_CLOUDFORMATION, "userAgent": BY_CLOUDFORMATION},
    "in somebody's name by CloudFormation": {
        "sourceIPAddress": BY_CLOUDFORMATION,
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/deploy/a", "invokedBy": BY_CLOUDFORMATION},
    },
    "by CloudFormation, with no address": {"sourceIPAddress": None, "userIdentity": {"invokedBy": BY_CLOUDFORMATION}},
    "denied": {"errorCode": "AccessDenied", "errorMessage": "not authorized"},
    "to what isn't there": {"errorCode": "ResourceNotFoundException"},
}
TOLD = {
    "by root": {"userIdentity": {"type": "Root", "arn": "arn:aws:iam::111122223333:root"}},
    "with no address": {"sourceIPAddress": None},
    "by another service": {"userIdentity": {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}},
    # A caller chooses the user agent.
    "by who says that CloudFormation calls": {"userAgent": BY_CLOUDFORMATION},
    "by nobody known": {"userIdentity": None},
}


@pytest.mark.parametrize("case", [*UNTOLD, *TOLD])
def test_what_cloudformation_does_and_what_fails_is_not_told(case, stack, rules):
    for call in calls(stack):
        if call.rule:
            told = telling(rules, call.event(**(UNTOLD | TOLD)[case]))
            assert told == ([call.rule] if case in TOLD else []), (call.name, call.parameters)


def test_only_aws_can_send_what_is_told(stack, rules):
    for call in calls(stack):
        assert telling(rules, {**call.event(), "source": "mine"}) == []
        assert telling(rules, {**call.event(), "detail-type": "AWS Service Event via CloudTrail"}) == []


def test_another_stack_s_calls_are_not_told(stack):
    pseudo = {"AWS::StackName": "second"}
    parameters = {**STACKS[stack], "Recipe": "Second;Second;Second;Second;1;300"}
    if stack == "existing":
        parameters["CloudTrailLogGroupName"] = "second-log-group"
    # What AWS names is another name in each stack.
    text = json.dumps(watching(expand(pseudo=pseudo, **parameters)["Resources"])).replace('"<', '"<second.')
    second = json.loads(text.replace("/<", "/<second.").replace(":<", ":<second."))

    # These change the whole account, and which trail feeds the log group isn't known.
    common = {"PutAccountPolicy", "DeleteAccountPolicy", "SetSMSAttributes", "UpdateEventBus"}
    told = [call for call in calls(stack) if telling(second, call.event())]
    trails = {"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "PutInsightSelectors", "PutEventConfiguration"}
    assert {call.name for call in told} == common | (trails if stack == "existing" else set())


# ── That nothing of the stack is forgotten ──────────────────────────────────────────────────────────


def test_every_alarm_is_watched():
    for more in ({}, EVERYTHING, {"Recipe": "Filter;Space;Count;Root again, and again;1;300"}):
        resources = expand(**more)["Resources"]
        alarms = {one["Properties"]["AlarmName"] for one in resources.values() if one["Type"].startswith("AWS::CloudWatch::")}
        details = [watching(resources)[name]["EventPattern"]["detail"] for name in ("WatchAlarmsGone", "WatchAlarmsSet", "WatchAlarmsMuted")]
        gone, set_, muted = (one["requestParameters"] for one in details)
        # The same in all three, and no name twice.
        assert gone["alarmNames"] == set_["alarmName"] == muted["muteTargets"]["alarmNames"]
        # The pager's is there only where there is one.
        pager = f"{PSEUDO['AWS::StackName']}-pager"
        assert sorted(gone["alarmNames"]) == sorted(alarms | {pager})


def test_every_rule_is_watched_by_another_one(stack, resources, rules):
    calls_on = {call.parameters: call for call in calls(stack) if call.service == "events" and call.rule}
    for name, one in resources.items():
        if one["Type"] != "AWS::Events::Rule":
            continue
        known = one["Properties"].get("Name", f"<{name}>")
        for parameter in ("name", "rule"):
            call = calls_on[json.dumps({parameter: known})]
            (told,) = telling(rules, call.event())
            assert told != name
            assert told in ("WatchRules", "WatchTargets")


def test_rules_of_the_heartbeat_are_watched_only_where_there_is_one():
    names = watching(expand(Alarms="all-but-silence")["Resources"])["WatchRules"]["EventPattern"]["detail"]["$or"][0]
    assert "<Tick>" in names["requestParameters"]["name"]
    assert "<Heartbeat>" not in names["requestParameters"]["name"]


# ── What EventBridge takes ──────────────────────────────────────────────────────────────────────────


def test_each_pattern_fits_into_a_rule_with_the_longest_names_there_are():
    recipe = f"{'f' * 512};{'n' * 255};{'m' * 255};{'a' * 255};1;300"
    pseudo = {"AWS::StackName": "s" * 64, "AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-1"}
    for more in (STACKS["new"], {"CloudTrailLogGroupName": "g" * 512}):
        for name, rule in watching(expand(pseudo=pseudo, **more, Recipe=recipe)["Resources"]).items():
            text = json.dumps(rule["EventPattern"])
            for placeholder, longest in {
                # A log group that CloudFormation names, a function, a rule: 64 characters at most by its rules or theirs.
                "<AlertTopic>": "t" * 120,
                "<OperationsTopic>": "t" * 125,
                "<AlertFunctionLogGroup>": "/aws/lambda/" + "s" * 64,
                "<DeadLetterQueue.QueueName>": "s" * 78,
                "<DeadLetterQueue.Arn>": "q" * 125,
                "<LedgerTable>": "d" * 100,
                "<LedgerTable.Arn>": "d" * 150,
                "<TrailLogGroup>": "g" * 120,
            }.items():
                text = text.replace(placeholder, longest)
            for other in ("AlertFunction", "Tick", "Heartbeat", *watching(expand()["Resources"])):
                text = text.replace(f"<{other}>", "r" * 64)
            assert "<" not in text, name
            assert length(json.loads(text)) <= 2048, name


def test_each_rule_sends_its_sentence_to_the_operations_topic_and_to_nothing_else(rules):
    assert len(rules) == 13
    for name, rule in rules.items():
        check(rule["EventPattern"])
        assert rule["State"] == "ENABLED", name
        assert "EventBusName" not in rule, name
        (target,) = rule["Targets"]
        # EventBridge publishes by the topic's policy; with a role of its own a delivery may fail.
        assert target.keys() == {"Id", "Arn", "InputTransformer"}, name
        assert target["Arn"] == "<OperationsTopic>", name


def test_the_sentence_says_who_did_what_from_where_and_when(stack, rules):
    for call in calls(stack):
        if not call.rule:
            continue
        transformer = rules[call.rule]["Targets"][0]["InputTransformer"]
        event = call.event()
        text = transform(transformer, event)
        assert text.startswith(
            "root-usage-alert: arn:aws:iam::111122223333:user/mallory (IAMUser) called "
            f"{call.name} ({call.service}.amazonaws.com) from 203.0.113.24 at 2026-11-26T03:00:00Z in eu-central-1, "
            "account 111122223333, which concerns "
        )
        assert "; event ID 0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9. If none of you did this, " in text
        for path in transformer["InputPathsMap"].values():
            assert isinstance(look_up(path, event), str), path
        # What is missing in a record leaves a gap, not an error.
        assert transform(transformer, call.event(sourceIPAddress=None)).count(" from  at ") == 1


def test_only_these_rules_publish_to_the_operations_topic(rules):
    for more in ({}, EVERYTHING):
        statements = expand(**more)["Resources"]["OperationsTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        (statement,) = [one for one in statements if one["Principal"] == {"Service": "events.amazonaws.com"}]
        assert (statement["Sid"], statement["Effect"], statement["Action"]) == ("WatchPublishes", "Allow", "sns:Publish")
        assert statement["Resource"] == "<OperationsTopic>"
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": PSEUDO["AWS::AccountId"]},
            "ArnEquals": {"aws:SourceArn": [f"<{name}.Arn>" for name in rules]},
        }


def test_the_rule_with_a_name_of_its_own_has_the_stack_s(rules):
    assert {name: rule["Name"] for name, rule in rules.items() if "Name" in rule} == {"WatchRules": "root-usage-alert"}
