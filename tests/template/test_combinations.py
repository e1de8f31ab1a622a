"""What the stack is for every combination of choices: which resources, and that nothing in it dangles.

A reference to a resource, parameter or condition that is not there fails the evaluation itself.
"""

import itertools
import json
import random

import pytest

import expansion
from expansion import ROOT, Refused, as_list, expand

RULES = {rule["id"]: rule["pattern"] for rule in json.loads((ROOT / "rules.json").read_text())}
ROOT_USAGE, SECURITY_HUB = RULES["root-usage"], RULES["root-usage-cis"]
# The rules to the letter as alternatives.
ROOT_AND_ASSUME_ROOT = ROOT_USAGE[: -len(" }")] + f' || ($.eventName = "AssumeRoot") || ({RULES["path-test"][2:-2]}) }}'
OWN = "{ $.eventName = StopLogging }"

NEW_TRAIL = {"CreateTrail": "true", "CloudTrailLogGroupName": ""}
PLACES = ("First", "Second", "Third", "Fourth", "Fifth")
GIVEN_KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

# What a person can choose, and the parameters that say so. All of these meet all others.
CHOICES = {
    "trail": {"existing": {}, "new": NEW_TRAIL},
    "emails": {
        "none": {"NotificationEmail": ""},
        "one": {},
        "two of three": {"NotificationEmail": "a@example.com,,c@example.com"},
        "five": {"NotificationEmail": "a@example.com,b@example.com,c@example.com,d@example.com,e@example.com"},
    },
    "operations": {
        "the same": {},
        "one": {"OperationsEmail": "ops@example.com"},
        "two": {"OperationsEmail": ",ops@example.com,,,a@example.com"},
    },
    "key": {"none": {}, "made": {"AlertKey": "create"}, "given": {"AlertKey": GIVEN_KEY}},
    "security_hub": {"no": {}, "yes": {"SecurityHubCompliance": "true"}},
    "rules": {
        "root": {},
        "root-set": {"Rules": "root"},
        "cis": {"Rules": "cis"},
        "both": {"Rules": "root-usage,cis"},
        "own": {"ExtraRulePattern": OWN},
    },
    "alarms": {level: {"Alarms": level} for level in ("all", "most", "few")},
    "metrics": {"on": {}, "off": {"Settings": "MASK_ACCESS_KEYS=false; METRICS=off"}},
    "silence": {"watched": {}, "not": {}},
    "history": {"on": {}, "off": {"Settings": "ALERT_TIME_ZONE=Etc/GMT+0; HISTORY_MINUTES=0"}},
}
PAGER = "arn:aws:sns:us-west-2:444455556666:pager-1_a"
# These touch one property each and no other choice: each combination gets some of them.
SWITCHES = {
    "runbook": {"none": {}, "some": {"RunbookUrl": "https://wiki.example.com/root"}},
    "names": {
        "none": {},
        "list": {"AccountNames": "111122223333=payments-prod, 444455556666=Data lake (EU) = 2"},
        "organization": {"AccountNames": "organization"},
    },
    "retention": {"a year": {}, "a month": {"LogRetentionDays": "30"}},
    "https": {"json": {}, "amazon-q": {"Settings": "HTTPS_FORMAT=amazon-q"}},
    "pager": {"none": {}, "some": {"Settings": f"PAGER_TOPIC_ARN={PAGER}"}},
}

ALWAYS = {
    "AlertFunction",
    "AlertFunctionEventInvokeConfig",
    "AlertFunctionLogGroup",
    "AlertFunctionPolicy",
    "AlertFunctionRole",
    "AlertTopic",
    "AlertTopicPolicy",
    "DeadLetterQueue",
    "DeadLetterQueueAlarm",
    "DeadLetterQueuePolicy",
    "DeliveryErrorsAlarm",
    "FunctionErrorsAlarm",
    "LedgerTable",
    "OperationsTopic",
    "OperationsTopicPolicy",
    "RecipeAlarm",
    "RecipeFilter",
    "Subscription",
    "SubscriptionPermission",
    "Tick",
    "TickAlarm",
    "TickPermission",
    "WatchAlarmsGone",
    "WatchAlarmsMuted",
    "WatchAlarmsSet",
    "WatchFilters",
    "WatchFunction",
    "WatchLogData",
    "WatchLogGroup",
    "WatchRules",
    "WatchStack",
    "WatchStored",
    "WatchTargets",
    "WatchTopics",
    "WatchTrail",
    "WhatIsStored",
}
# What the ledger needs; the four of a transaction are those of its writes, and ConditionCheckItem.
LEDGER_CALLS = (
    "BatchGetItem",
    "ConditionCheckItem",
    "DeleteItem",
    "PutItem",
    "Query",
    "UpdateItem",
)
# Which choices bring which resources: what the template's conditions must come to.
OPTIONAL = [
    (lambda c: c["trail"] == "new", {"Trail", "TrailBucket", "TrailBucketPolicy", "TrailLogGroup", "TrailRole"}),
    *[
        (lambda c, place=place: addresses(c)[0][place] != "", {f"AlertsTo{name}Email"})
        for place, name in enumerate(PLACES)
    ],
    *[
        (lambda c, place=place: addresses(c)[1][place] != "", {f"OperationsTo{name}Email"})
        for place, name in enumerate(PLACES)
    ],
    (lambda c: c["key"] == "made", {"AlertTopicKey"}),
    (
        lambda c: c["alarms"] != "few",
        {"DeadLetterErrorsAlarm", "DroppedEventsAlarm", "ThrottlesAlarm", "DeliveryThrottlingAlarm"},
    ),
    (
        lambda c: c["alarms"] == "all" and c["metrics"] == "on",
        {"RecipeCounted", "FunctionReported", "NotReportedAlarm"},
    ),
    (lambda c: c["metrics"] == "on", {"OverdueAlarm"}),
    (lambda c: c["alarms"] != "few" and c["metrics"] == "on", {"LedgerAlarm"}),
    (lambda c: c["pager"] == "some" and c["metrics"] == "on", {"PagerAlarm"}),
    (lambda c: c["silence"] == "watched", {"Heartbeat", "HeartbeatPermission", "SilenceAlarm"}),
    (lambda c: c["silence"] == "watched" and c["metrics"] == "on", {"UnheardAlarm", "ReadersAlarm"}),
]

# The subscription's pattern and what the function is told, by the rules chosen.
PATTERNS = {
    "root": (ROOT_AND_ASSUME_ROOT, "root-usage", ""),
    "root-set": ("", "root", ""),
    "cis": ("", "cis", ""),
    "both": ("", "root-usage,cis", ""),
    "own": ("", "root-usage", OWN),
}


def addresses(chosen):
    """Who gets the alerts and who the alarms, place by place."""
    alerts = CHOICES["emails"][chosen["emails"]].get("NotificationEmail", "security@example.com")
    operations = CHOICES["operations"][chosen["operations"]].get("OperationsEmail") or alerts
    return [(text + ",,,,").split(",")[:5] for text in (alerts, operations)]


def combinations():
    """Every combination, as the names of the choices and as parameters."""
    switched = random.Random(6)
    for names in itertools.product(*CHOICES.values()):
        chosen = dict(zip(CHOICES, names))
        chosen |= {switch: switched.choice(list(values)) for switch, values in SWITCHES.items()}
        parameters, settings = {}, []
        for choice, name in chosen.items():
            given = (CHOICES | SWITCHES)[choice][name]
            parameters |= given
            settings += [given["Settings"]] if "Settings" in given else []
        if settings:
            parameters["Settings"] = ";".join(settings)
        if chosen["silence"] == "not":
            parameters["Alarms"] += "-but-silence"
        yield chosen, parameters


@pytest.fixture(scope="module")
def stacks():
    return [(chosen, expand(**parameters)) for chosen, parameters in combinations()]


def statements(stack):
    """Every policy statement of the stack, with the name of the resource that has it."""
    for name, resource in stack["Resources"].items():
        properties = resource["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        keys = ("PolicyDocument", "AssumeRolePolicyDocument", "KeyPolicy")
        documents += [properties[key] for key in keys if key in properties]
        if "ResourcePolicy" in properties:
            documents.append(properties["ResourcePolicy"]["PolicyDocument"])
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def test_every_choice_of_every_axis_is_there(stacks):
    for axis, values in (CHOICES | SWITCHES).items():
        assert {chosen[axis] for chosen, _ in stacks} == set(values), axis
    # The template has no condition that no combination turns on, and none that none turns off.
    conditions = expansion.source()["Conditions"]
    seen = {name: set() for name in conditions}
    template = json.loads(expansion.translated(expansion.TEMPLATE.read_text()))
    for _, parameters in combinations():
        evaluation = expansion.Evaluation(template, {**expansion.REQUIRED, **parameters}, expansion.PSEUDO)
        for name in conditions:
            seen[name].add(evaluation.condition(name))
    assert {name for name, values in seen.items() if values != {True, False}} == set()


def test_resources_are_what_was_chosen(stacks):
    for chosen, stack in stacks:
        expected = set(ALWAYS)
        for wanted, resources in OPTIONAL:
            if wanted(chosen):
                expected |= resources
        assert set(stack["Resources"]) == expected, chosen


def test_subscription_and_function_follow_the_rules(stacks):
    for chosen, stack in stacks:
        subscription, rules, own = PATTERNS[chosen["rules"]]
        variables = stack["Resources"]["AlertFunction"]["Properties"]["Environment"]["Variables"]
        found = stack["Resources"]["Subscription"]["Properties"]["FilterPattern"]
        assert (found, variables["RULES"], variables["RULE_PATTERN"]) == (subscription, rules, own), chosen


def test_metric_filter_counts_what_the_function_calls_root(stacks):
    for chosen, stack in stacks:
        security_hub = chosen["security_hub"] == "yes" or chosen["rules"] == "cis"
        found = stack["Resources"]["RecipeFilter"]["Properties"]["FilterPattern"]
        assert found == (SECURITY_HUB if security_hub else ROOT_USAGE), chosen


def test_everything_reads_the_same_log_group(stacks):
    for chosen, stack in stacks:
        group = "<TrailLogGroup>" if chosen["trail"] == "new" else "trail-log-group"
        resources = stack["Resources"]
        assert resources["Subscription"]["Properties"]["LogGroupName"] == group, chosen
        assert resources["RecipeFilter"]["Properties"]["LogGroupName"] == group, chosen
        permission = resources["SubscriptionPermission"]["Properties"]
        assert permission["SourceArn"] == f"arn:aws:logs:eu-central-1:111122223333:log-group:{group}:*", chosen
        for name in ("DeliveryErrorsAlarm", "DeliveryThrottlingAlarm", "SilenceAlarm"):
            if name in resources:
                dimensions = {one["Name"]: one["Value"] for one in resources[name]["Properties"]["Dimensions"]}
                assert dimensions["LogGroupName"] == group, (name, chosen)
        assert stack["Outputs"]["TrailLogGroupName"] == group, chosen


def test_no_statement_but_the_documented_ones_has_every_resource(stacks):
    for chosen, stack in stacks:
        allowed = set()
        if chosen["silence"] == "watched" or chosen["history"] == "on":
            allowed.add(("AlertFunctionPolicy", "LookUpEvents"))
        if chosen["key"] == "made":
            # In a key's policy `*` is the key.
            allowed |= {("AlertTopicKey", "AccountAdministers"), ("AlertTopicKey", "FunctionPublishes")}
            allowed |= {("AlertTopicKey", "AmazonQReads")} if chosen["https"] == "amazon-q" else set()
        found = {
            (name, statement["Sid"])
            for name, statement in statements(stack)
            if statement["Effect"] == "Allow" and "*" in as_list(statement.get("Resource", []))
        }
        assert found == allowed, chosen


def test_no_statement_allows_every_action_or_everybody(stacks):
    # SNS's own documentation has the star in the second one; the first is the key's administrators.
    stars = {("AccountAdministers", "kms:*"), ("FunctionPublishes", "kms:GenerateDataKey*")}
    stars |= {("UseAlertKey", "kms:GenerateDataKey*"), ("AmazonQReads", "kms:GenerateDataKey*")}
    for chosen, stack in stacks:
        for name, statement in statements(stack):
            if statement["Effect"] != "Allow":
                continue
            assert statement.get("Principal") != "*", (name, chosen)
            assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys(), (name, chosen)
            for action in as_list(statement["Action"]):
                assert "*" not in action or (statement["Sid"], action) in stars, (name, action, chosen)


def test_role_has_what_the_choices_need_and_no_more(stacks):
    for chosen, stack in stacks:
        policy = stack["Resources"]["AlertFunctionPolicy"]["Properties"]
        found = {
            (action, resource)
            for statement in policy["PolicyDocument"]["Statement"]
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
        }
        expected = {
            ("sns:Publish", "<AlertTopic>"),
            ("logs:CreateLogStream", "<AlertFunctionLogGroup.Arn>"),
            ("logs:PutLogEvents", "<AlertFunctionLogGroup.Arn>"),
            ("sqs:SendMessage", "<DeadLetterQueue.Arn>"),
            *((f"dynamodb:{call}", "<LedgerTable.Arn>") for call in LEDGER_CALLS),
        }
        if chosen["silence"] == "watched" or chosen["history"] == "on":
            expected.add(("cloudtrail:LookupEvents", "*"))
        if chosen["silence"] == "watched":
            group = "<TrailLogGroup>" if chosen["trail"] == "new" else "trail-log-group"
            expected.add(("logs:FilterLogEvents", f"arn:aws:logs:eu-central-1:111122223333:log-group:{group}:*"))
            expected.add(("sns:GetTopicAttributes", "<AlertTopic>"))
        if chosen["names"] == "organization":
            expected.add(("organizations:DescribeAccount", "arn:aws:organizations::*:account/o-*/*"))
        if chosen["pager"] == "some":
            expected.add(("sns:Publish", PAGER))
        if chosen["key"] != "none":
            key = GIVEN_KEY if chosen["key"] == "given" else "<AlertTopicKey.Arn>"
            expected |= {("kms:Decrypt", key), ("kms:GenerateDataKey*", key)}
        assert found == expected, chosen
        role = stack["Resources"]["AlertFunctionRole"]["Properties"]
        assert policy["Roles"] == ["<AlertFunctionRole>"]
        assert "Policies" not in role and "ManagedPolicyArns" not in role


def test_operations_topic_shares_nothing_with_the_alert_topic(stacks):
    keys = {"none": None, "made": "<AlertTopicKey.Arn>", "given": GIVEN_KEY}
    for chosen, stack in stacks:
        resources = stack["Resources"]
        assert resources["AlertTopic"]["Properties"].get("KmsMasterKeyId") == keys[chosen["key"]], chosen
        assert "KmsMasterKeyId" not in resources["OperationsTopic"]["Properties"]
        own = json.dumps([one for name, one in resources.items() if name.startswith("Operations")])
        assert "AlertTopic" not in own and "AlertFunction" not in own
        for name, resource in resources.items():
            if resource["Type"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
                silent = name in ("RecipeCounted", "FunctionReported")
                assert resource["Properties"].get("AlarmActions") == (None if silent else ["<OperationsTopic>"]), name


def test_each_address_is_subscribed_in_its_place(stacks):
    for chosen, stack in stacks:
        found = {
            name: (one["Properties"]["TopicArn"], one["Properties"]["Protocol"], one["Properties"]["Endpoint"])
            for name, one in stack["Resources"].items()
            if one["Type"] == "AWS::SNS::Subscription"
        }
        alerts, operations = addresses(chosen)
        expected = {
            f"{topic}To{place}Email": (arn, "email", address)
            for topic, arn, each in (
                ("Alerts", "<AlertTopic>", alerts),
                ("Operations", "<OperationsTopic>", operations),
            )
            for place, address in zip(PLACES, each)
            if address
        }
        assert found == expected, chosen


def test_switches_reach_their_property(stacks):
    for chosen, stack in stacks:
        function = stack["Resources"]["AlertFunction"]["Properties"]
        variables = function["Environment"]["Variables"]
        assert variables["RUNBOOK_URL"] == {"none": "", "some": "https://wiki.example.com/root"}[chosen["runbook"]]
        assert variables["ACCOUNT_NAMES"] == SWITCHES["names"][chosen["names"]].get("AccountNames", "none"), chosen
        assert ("METRICS=off" in variables["SETTINGS"]) == (chosen["metrics"] == "off"), chosen
        assert ("HISTORY_MINUTES=0" in variables["SETTINGS"]) == (chosen["history"] == "off"), chosen
        days = {"a year": "365", "a month": "30"}[chosen["retention"]]
        logs = [one for one in stack["Resources"].values() if one["Type"] == "AWS::Logs::LogGroup"]
        assert [one["Properties"]["RetentionInDays"] for one in logs] == [days] * len(logs), chosen


# The heartbeat looks events up too, so only without it do the settings decide.
@pytest.mark.parametrize(
    "settings, looks_up",
    [
        ("", True),
        ("METRICS=off", True),
        ("HISTORY_MINUTES=0", False),
        ("HISTORY_MINUTES=0;", False),
        ("HISTORY_MINUTES=0; ", False),
        ("METRICS=off; HISTORY_MINUTES=0", False),
        ("HISTORY_MINUTES=0;METRICS=off", False),
        ("HISTORY_MINUTES=1", True),
        ("HISTORY_MINUTES=10", True),
        ("HISTORY_MINUTES=100;METRICS=off", True),
        ("HISTORY_MINUTES=1440", True),
        ("ALERT_TIME_ZONE=Etc/GMT+0;HISTORY_MINUTES=60", True),
        ("ALERT_TIME_ZONE=HISTORY_MINUTES/0", True),
        ("LOCKDOWN_POLICY_ID=p-HISTORY_MINUTES0", True),
    ],
)
def test_role_looks_events_up_unless_the_history_is_off(settings, looks_up):
    stack = expand(Alarms="all-but-silence", Settings=settings)
    assert ("LookUpEvents" in {statement["Sid"] for _, statement in statements(stack) if "Sid" in statement}) == looks_up


@pytest.mark.parametrize(
    "settings, pager, watched",
    [
        ("", None, False),
        ("METRICS=on", None, False),
        ("HTTPS_FORMAT=amazon-q", None, False),
        (f"PAGER_TOPIC_ARN={PAGER}", PAGER, True),
        (f"PAGER_TOPIC_ARN={PAGER};", PAGER, True),
        (f"PAGER_TOPIC_ARN={PAGER}; ", PAGER, True),
        (f"METRICS=off;PAGER_TOPIC_ARN={PAGER}", PAGER, False),
        (f"PAGER_TOPIC_ARN={PAGER}; METRICS=on", PAGER, True),
        (f"HISTORY_MINUTES=15; PAGER_TOPIC_ARN={PAGER};HTTPS_FORMAT=json", PAGER, True),
        # The first is what the role may use; the function doesn't start with two.
        (f"PAGER_TOPIC_ARN={PAGER};PAGER_TOPIC_ARN={PAGER}2", PAGER, True),
        # A topic that is called so.
        ("PAGER_TOPIC_ARN=arn:aws-us-gov:sns:us-gov-west-1:444455556666:PAGER_TOPIC_ARN",
         "arn:aws-us-gov:sns:us-gov-west-1:444455556666:PAGER_TOPIC_ARN", True),
    ],
)
def test_role_may_publish_to_the_pagers_topic_and_to_no_other(settings, pager, watched):
    stack = expand(Settings=settings)
    publishes = {
        statement["Sid"]: statement["Resource"]
        for name, statement in statements(stack)
        if name == "AlertFunctionPolicy" and statement["Action"] == "sns:Publish"
    }
    assert publishes == {"PublishAlerts": "<AlertTopic>"} | ({"TellPager": pager} if pager else {})
    assert ("PagerAlarm" in stack["Resources"]) == watched


@pytest.mark.parametrize(
    "topic",
    ["", "pager", "*", "arn:aws:sns:*:444455556666:pager", "arn:aws:sns:us-west-2:444455556666:*", "arn:aws:sqs:us-west-2:444455556666:q",
     "arn:aws:sns:us-west-2:444455556666:pager.fifo", "arn:aws:sns:us-west-2:444455556666:pa?er", "${AlertTopic}"],
)
def test_no_other_topic_is_taken_for_a_pagers(topic):
    with pytest.raises(Refused):
        expand(Settings=f"PAGER_TOPIC_ARN={topic}")


@pytest.mark.parametrize("minutes", ["00", "05", "010", "0.0", "0x1", "+0", "-0", " 0", "1441", "9999", ""])
def test_no_other_spelling_of_minutes_is_taken(minutes):
    with pytest.raises(Refused):
        expand(Settings=f"HISTORY_MINUTES={minutes}")


EDITS = [
    ("Architectures: [x86_64]", "Architectures: [arm64]", ("AlertFunction", "Architectures"), ["arm64"]),
    (
        "# ReservedConcurrentExecutions: 2",
        "ReservedConcurrentExecutions: 2",
        ("AlertFunction", "ReservedConcurrentExecutions"),
        2,
    ),
    ("EvaluationPeriods: 36", "EvaluationPeriods: 288", ("SilenceAlarm", "EvaluationPeriods"), 288),
    (
        "# - {Id: old-records, ",
        "- {Id: old-records, ",
        ("TrailBucket", "LifecycleConfiguration", "Rules", 2, "ExpirationInDays"),
        2557,
    ),
]


@pytest.mark.parametrize("line, edited, path, value", EDITS, ids=[edit[1] for edit in EDITS])
def test_what_has_no_parameter_is_one_line_of_the_template(line, edited, path, value):
    text = expansion.TEMPLATE.read_text()
    assert text.count(line) == 1
    # Whoever looks for EDIT finds it, and what to know about it.
    comment = text[: text.index(line)].splitlines()[-4:]
    assert any(each.lstrip().startswith("# EDIT: ") for each in comment), comment
    found = expand(text.replace(line, edited), **expansion.EVERYTHING)["Resources"][path[0]]["Properties"]
    for key in path[1:]:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    "parameters",
    [
        {"CloudTrailLogGroupName": ""},
        {"CreateTrail": "true"},
        {"CloudTrailLogGroupName": "arn:aws:logs:eu-central-1:111122223333:log-group:x"},
        {"AlertKey": "alias/aws/sns"},
        {"Rules": "root-usage;cis"},
        {"NotificationEmail": "nobody"},
        {"NotificationEmail": "a@example.com, b@example.com"},
        {"NotificationEmail": "a@example.com;b@example.com"},
        {"NotificationEmail": ",".join(["a@example.com"] * 6)},
        {"OperationsEmail": "nobody"},
        {"Alarms": "silence"},
        {"ExtraRulePattern": "{ $.a = 東京 }"},
        {"RunbookUrl": "http://wiki.example.com/root"},
        {"RunbookUrl": "https://wiki.example.com/a b"},
        {"RunbookUrl": "https://wiki.example.com/root."},
        {"RunbookUrl": "https://someone@wiki.example.com/"},
        {"Recipe": "RootAccountUsage;CloudTrailMetrics;RootAccountUsageCount;Root Account Usage;1"},
        {"Recipe": "RootAccountUsage;CloudTrailMetrics;RootAccountUsageCount;Root Account Usage;0;300"},
        {"Recipe": "RootAccountUsage;CloudTrailMetrics;RootAccountUsageCount;Root Account Usage;1;301"},
        {"Recipe": "a:b;CloudTrailMetrics;RootAccountUsageCount;Root Account Usage;1;300"},
        {"Recipe": "RootAccountUsage;Cloud Trail;RootAccountUsageCount;Root Account Usage;1;300"},
        {"Recipe": ""},
        {"AccountNames": ""},
        {"AccountNames": "organisation"},
        {"AccountNames": "payments-prod"},
        {"AccountNames": "111122223333="},
        {"AccountNames": "111122223333= "},
        {"AccountNames": "1111=payments-prod"},
        {"AccountNames": "111122223333=a,"},
        {"AccountNames": "111122223333=a,sandbox"},
        {"AccountNames": "111122223333=本番"},
        {"AccountNames": "none,111122223333=a"},
        {"Settings": "LOCKDOWN_POLICY_ID=FullAWSAccess"},
        {"Settings": "LOCKDOWN_POLICY_ID=p-1234567"},
        {"Settings": "RULES=root"},
        {"Settings": "HTTPS_FORMAT=slack"},
        {"Settings": "METRICS=no"},
        {"Settings": "METRICS = off"},
        {"Settings": "METRICS=off,MASK_ACCESS_KEYS=true"},
        {"Settings": "METRICS=offMASK_ACCESS_KEYS=true"},
        {"Settings": "HISTORY_TIMEOUT_MS=99"},
        {"Settings": "HISTORY_TIMEOUT_MS=8001"},
    ],
    ids=str,
)
def test_wrong_answers_are_refused_before_anything_is_made(parameters):
    with pytest.raises(Refused):
        expand(**parameters)
