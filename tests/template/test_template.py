"""What the stack says where no emulator looks: policies, alarms, the trail, what stays when it goes."""

import json
import re

import pytest
from samtranslator.yaml_helper import yaml_parse

from expansion import EVERYTHING, ROOT, as_list, expand, source

RULES = json.loads((ROOT / "rules.json").read_text())
ACCOUNT_ROOT = {"AWS": "arn:aws:iam::111122223333:root"}
TRAIL_ARN = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/root-usage-alert"
NEW_TRAIL = {"CreateTrail": "true", "CloudTrailLogGroupName": ""}
RECIPE = source()["Parameters"]["Recipe"]["Default"]
ALARM_TYPES = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")


@pytest.fixture(scope="module")
def default():
    return expand()["Resources"]


@pytest.fixture(scope="module")
def everything():
    return expand(**EVERYTHING)["Resources"]


def properties(resources, name):
    return resources[name]["Properties"]


def alarms(resources):
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] in ALARM_TYPES}


def data(alarm):
    """The metrics that an alarm's expression reads, by their ids. The expression alone is what it watches."""
    (expression,) = [one for one in alarm["Metrics"] if "Expression" in one]
    assert [one for one in alarm["Metrics"] if one["ReturnData"]] == [expression]
    return {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if one is not expression}


def expression_of(alarm):
    (expression,) = [one["Expression"] for one in alarm["Metrics"] if "Expression" in one]
    return expression


def policy(resources, name):
    """The statements of a policy, by their Sid."""
    document = properties(resources, name)["PolicyDocument"]
    return {statement["Sid"]: statement for statement in document["Statement"]}


# ── The rules' text ─────────────────────────────────────────────────────────────────────────────────


def test_published_rules_stand_in_the_alarms_to_the_letter():
    resources = yaml_parse((ROOT / "cis-alarms.yaml").read_text())["Resources"].values()
    rules = [rule for rule in RULES if "cis" in rule["sets"]]
    filters = [one["Properties"] for one in resources if one["Type"] == "AWS::Logs::MetricFilter"]
    watching = [one["Properties"] for one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]

    assert [one["FilterPattern"] for one in filters] == [rule["pattern"] for rule in rules]
    metrics = [metric for one in filters for metric in one["MetricTransformations"]]
    counted = [(metric["MetricNamespace"], metric["MetricName"]) for metric in metrics]
    assert [(alarm["Namespace"], alarm["MetricName"]) for alarm in watching] == counted
    assert len({name for _, name in counted}) == len(rules)


def test_default_rule_is_the_one_whose_pattern_the_subscription_has():
    # The condition RootUsageIsAll compares with this name.
    assert source()["Parameters"]["Rules"]["Default"] == "root-usage"
    assert "root-usage" in [rule["id"] for rule in RULES]


# ── AWS's recipe, and Security Hub's control CloudWatch.1 ───────────────────────────────────────────


def test_recipe_is_the_recipe(default):
    transformations = properties(default, "RecipeFilter")["MetricTransformations"]
    assert transformations == [
        {"MetricNamespace": "CloudTrailMetrics", "MetricName": "RootAccountUsageCount", "MetricValue": "1"}
    ]
    alarm = properties(default, "RecipeAlarm")
    assert (alarm["AlarmName"], alarm["Statistic"], alarm["Threshold"]) == ("Root Account Usage", "Sum", "1")
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == ("300", 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_recipe_has_other_names_threshold_and_period_when_asked():
    resources = expand(Recipe="Second;Other;Count;Root again, and again;3;900")["Resources"]
    recipe, alarm = properties(resources, "RecipeFilter"), properties(resources, "RecipeAlarm")

    assert recipe["FilterName"] == "Second"
    (metric,) = recipe["MetricTransformations"]
    assert (metric["MetricNamespace"], metric["MetricName"]) == ("Other", "Count")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Other", "Count")
    compared = data(properties(resources, "RecipeCounted"))["counted"]["Metric"]
    assert compared == {"Namespace": "Other", "MetricName": "Count"}
    assert (alarm["AlarmName"], alarm["Threshold"], alarm["Period"]) == ("Root again, and again", "3", "900")


# The control's fifth condition, a confirmed subscriber, only a person can meet: the first output.
# Source: Security Hub User Guide, CloudWatch.1.


@pytest.fixture(scope="module")
def compliant():
    # A threshold that the control would refuse, to show that it does not get through.
    recipe = RECIPE.replace(";1;", ";5;")
    return expand(**NEW_TRAIL, SecurityHubCompliance="true", Recipe=recipe)["Resources"]


def test_cloudwatch_1_condition_1_active_multi_region_trail_with_all_management_events(compliant):
    trail = properties(compliant, "Trail")

    assert trail["IsLogging"] is True
    assert trail["IsMultiRegionTrail"] is True
    assert trail["EventSelectors"] == [{"ReadWriteType": "All", "IncludeManagementEvents": True}]
    assert trail["CloudWatchLogsLogGroupArn"] == "<TrailLogGroup.Arn>"


def test_cloudwatch_1_condition_2_exact_pattern_on_the_trails_log_group(compliant):
    recipe = properties(compliant, "RecipeFilter")

    assert recipe["LogGroupName"] == "<TrailLogGroup>"
    assert recipe["FilterPattern"] == (
        '{$.userIdentity.type="Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType !="AwsServiceEvent"}'
    )


def test_cloudwatch_1_condition_3_alarm_on_that_metric(compliant):
    (metric,) = properties(compliant, "RecipeFilter")["MetricTransformations"]
    alarm = properties(compliant, "RecipeAlarm")

    assert metric["MetricValue"] == "1"
    assert (alarm["Namespace"], alarm["MetricName"]) == (metric["MetricNamespace"], metric["MetricName"])
    assert "Dimensions" not in alarm
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["Threshold"] == 1


def test_cloudwatch_1_condition_4_alarm_tells_a_topic_with_a_subscriber(compliant):
    assert properties(compliant, "RecipeAlarm")["AlarmActions"] == ["<OperationsTopic>"]
    assert properties(compliant, "RecipeAlarm").get("ActionsEnabled", True) is True
    assert properties(compliant, "OperationsToFirstEmail")["TopicArn"] == "<OperationsTopic>"


def test_cloudwatch_1_condition_5_is_what_the_first_output_tells_a_person_to_do():
    outputs = expand()["Outputs"]

    first = next(iter(outputs))
    assert first == min(outputs)
    assert "Confirm the subscriptions of each e-mail address" in outputs[first]
    assert "<AlertTopic>" in outputs[first] and "<OperationsTopic>" in outputs[first]


# ── Topics ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("topic", ["AlertTopic", "OperationsTopic"])
def test_topic_takes_nothing_from_outside_the_account_or_without_tls(topic, default):
    statements = policy(default, f"{topic}Policy")

    assert properties(default, f"{topic}Policy")["Topics"] == [f"<{topic}>"]
    assert statements["OwnerAccountOnly"]["Principal"] == ACCOUNT_ROOT
    deny = statements["TlsOnly"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sns:Publish")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert {statement["Resource"] for statement in statements.values()} == {f"<{topic}>"}
    others = statements.keys() - {"OwnerAccountOnly", "TlsOnly"}
    assert others == ({"AlarmsPublish", "WatchPublishes"} if topic == "OperationsTopic" else set())


def test_only_alarms_of_this_account_publish_to_the_operations_topic(default):
    statement = policy(default, "OperationsTopicPolicy")["AlarmsPublish"]

    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:*"},
    }


def test_made_key_lets_the_functions_role_publish(everything):
    key = properties(everything, "AlertTopicKey")
    statements = {statement["Sid"]: statement for statement in key["KeyPolicy"]["Statement"]}

    # EVERYTHING has Amazon Q, which reads through SNS and in no other way.
    assert statements.keys() == {"AccountAdministers", "FunctionPublishes", "AmazonQReads"}
    assert statements["AmazonQReads"]["Principal"] == {"Service": "chatbot.amazonaws.com"}
    assert statements["AmazonQReads"]["Condition"] == {"StringEquals": {"kms:ViaService": "sns.eu-central-1.amazonaws.com"}}
    without = expand(AlertKey="create", Settings="HTTPS_FORMAT=json")["Resources"]
    sids = {statement["Sid"] for statement in properties(without, "AlertTopicKey")["KeyPolicy"]["Statement"]}
    assert sids == {"AccountAdministers", "FunctionPublishes"}
    assert statements["AccountAdministers"]["Principal"] == ACCOUNT_ROOT
    assert statements["FunctionPublishes"]["Principal"] == {"AWS": "<AlertFunctionRole.Arn>"}
    assert statements["FunctionPublishes"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert key["EnableKeyRotation"] is True


# ── The function and what feeds it ──────────────────────────────────────────────────────────────────


def test_failed_events_are_kept_encrypted_and_for_two_weeks(default):
    queue, function = properties(default, "DeadLetterQueue"), properties(default, "AlertFunction")

    assert function["DeadLetterConfig"] == {"TargetArn": "<DeadLetterQueue.Arn>"}
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MaximumMessageSize"] == 1024 * 1024
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    # Lambda refuses a dead-letter queue that the role may not write to.
    assert default["AlertFunction"]["DependsOn"] == ["AlertFunctionPolicy", "DeadLetterQueuePolicy"]


def test_lambda_retries_twice_for_six_hours(default):
    asynchronous = properties(default, "AlertFunctionEventInvokeConfig")

    assert asynchronous["FunctionName"] == "<AlertFunction>"
    assert asynchronous["MaximumRetryAttempts"] == 2
    assert asynchronous["MaximumEventAgeInSeconds"] == 6 * 60 * 60


def test_function_is_small_and_logs_json(default):
    function = properties(default, "AlertFunction")

    assert (function["Runtime"], function["MemorySize"], function["Timeout"]) == ("provided.al2023", 512, 30)
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": "<AlertFunctionLogGroup>"}
    assert properties(default, "AlertFunctionLogGroup")["RetentionInDays"] == "365"


def test_each_variable_of_the_function_has_a_parameter():
    values = {
        "Rules": "root-usage-cis",
        "ExtraRulePattern": "{ $.x = 1 }",
        "AlertLanguage": "ja",
        "TrustedCidrs": "192.0.2.0/24",
        "RunbookUrl": "https://wiki.example.com/root",
        "AccountNames": "111122223333=payments-prod,444455556666=sandbox",
        "QuietMinutes": "90",
        "UpdateMinutes": "10",
        "Settings": "ALERT_TIME_ZONE=Asia/Tokyo;HISTORY_MINUTES=15;MASK_ACCESS_KEYS=false;METRICS=off",
    }
    variables = properties(expand(**values)["Resources"], "AlertFunction")["Environment"]["Variables"]

    assert variables == {
        "ALERT_TOPIC_ARN": "<AlertTopic>",
        "RULES": "root-usage-cis",
        "RULE_PATTERN": "{ $.x = 1 }",
        "ALERT_LANGUAGE": "ja",
        "TRUSTED_CIDRS": "192.0.2.0/24",
        "RUNBOOK_URL": "https://wiki.example.com/root",
        "ACCOUNT_NAMES": "111122223333=payments-prod,444455556666=sandbox",
        "QUIET_MINUTES": "90",
        "UPDATE_MINUTES": "10",
        "SETTINGS": "ALERT_TIME_ZONE=Asia/Tokyo;HISTORY_MINUTES=15;MASK_ACCESS_KEYS=false;METRICS=off",
        "LEDGER_TABLE": "<LedgerTable>",
    }


def test_only_the_log_group_and_the_schedules_of_this_account_may_invoke(default):
    permissions = {name: one["Properties"] for name, one in default.items() if one["Type"] == "AWS::Lambda::Permission"}

    assert {name: (one["Principal"], one["SourceArn"]) for name, one in permissions.items()} == {
        "SubscriptionPermission": (
            "logs.amazonaws.com",
            "arn:aws:logs:eu-central-1:111122223333:log-group:trail-log-group:*",
        ),
        "HeartbeatPermission": ("events.amazonaws.com", "<Heartbeat.Arn>"),
        "TickPermission": ("events.amazonaws.com", "<Tick.Arn>"),
    }
    for permission in permissions.values():
        assert permission["SourceAccount"] == "111122223333"
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["FunctionName"] == "<AlertFunction>"


def test_permission_is_there_before_the_subscription(default):
    assert "SubscriptionPermission" in default["Subscription"]["DependsOn"]


def test_heartbeat_is_hourly_and_carries_no_record(default):
    heartbeat = properties(default, "Heartbeat")

    assert (heartbeat["ScheduleExpression"], heartbeat["State"]) == ("rate(1 hour)", "ENABLED")
    (target,) = heartbeat["Targets"]
    assert target["Arn"] == "<AlertFunction.Arn>"
    assert json.loads(target["Input"]) == {"heartbeat": {"logGroup": "trail-log-group"}}
    made = properties(expand(CreateTrail="true", CloudTrailLogGroupName="")["Resources"], "Heartbeat")
    assert json.loads(made["Targets"][0]["Input"]) == {"heartbeat": {"logGroup": "<TrailLogGroup>"}}


# ── The ledger ──────────────────────────────────────────────────────────────────────────────────────


def test_ledger_is_paid_by_the_call_and_forgets_by_itself(default):
    table = properties(default, "LedgerTable")

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]} == {"pk": "S", "sk": "S"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    # A key of AWS's own, which every table has that names no other.
    assert "SSESpecification" not in table


def test_nobody_but_the_function_reads_or_writes_the_ledger(default):
    (statement,) = properties(default, "LedgerTable")["ResourcePolicy"]["PolicyDocument"]["Statement"]
    (allowed,) = [one for sid, one in policy(default, "AlertFunctionPolicy").items() if sid == "KeepIncidents"]

    assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": "<AlertFunctionRole.Arn>"}}
    # Every way to an item, of which the function needs a part. SQL's are actions of their own.
    sql = {f"dynamodb:PartiQL{call}" for call in ("Delete", "Insert", "Select", "Update")}
    others = {f"dynamodb:{call}" for call in ("BatchWriteItem", "GetItem", "Scan")}
    assert set(statement["Action"]) == {*allowed["Action"], *others, *sql}
    assert allowed["Resource"] == "<LedgerTable.Arn>"


def test_each_call_of_the_ledger_has_its_reason():
    text = (ROOT / "template.yaml").read_text().split("- Sid: KeepIncidents\n")[1].split("Resource:")[0]
    lines = [line.strip() for line in text.splitlines()]
    actions = [number for number, line in enumerate(lines) if line.startswith("- dynamodb:")]

    assert len(actions) == 6
    for number in actions:
        assert lines[number - 1].startswith("# "), lines[number]


def test_ledger_may_make_the_calls_that_it_makes_and_no_others(default):
    source_text = "".join(path.read_text() for path in sorted((ROOT / "src/ledger").glob("*.rs")))
    made = set(re.findall(r"client\s*\.([a-z_]+)\(\)", source_text))
    # A transaction needs the permissions of its writes, the builder's methods here.
    assert "transact_write_items" in made
    written = {"condition_check": "ConditionCheckItem", "put": "PutItem", "delete": "DeleteItem", "update": "UpdateItem"}
    made |= {name for name in written if re.search(rf"\bitem\.{name}\(", source_text)}
    needed = {written.get(name, "".join(word.title() for word in name.split("_"))) for name in made - {"transact_write_items"}}

    allowed = policy(default, "AlertFunctionPolicy")["KeepIncidents"]["Action"]
    assert {f"dynamodb:{call}" for call in needed} == set(allowed)


def test_tick_comes_each_minute_and_is_not_tried_again(default):
    tick = properties(default, "Tick")

    assert (tick["ScheduleExpression"], tick["State"]) == ("rate(1 minute)", "ENABLED")
    (target,) = tick["Targets"]
    assert target["Arn"] == "<AlertFunction.Arn>"
    assert json.loads(target["Input"]) == {"tick": {}}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}


def references(node, resources):
    """The resources that a value names."""
    if isinstance(node, dict):
        return set().union(*(references(one, resources) for one in node.values()))
    if isinstance(node, list):
        return set().union(*(references(one, resources) for one in node))
    return {name for name in resources if isinstance(node, str) and (f"<{name}>" in node or f"<{name}." in node)}


def needed(name, resources):
    """What has to be there before a resource, and is deleted after it: CloudFormation's order."""
    found, waiting = set(), {name}
    while waiting:
        one = resources[waiting.pop()]
        direct = references(one["Properties"], resources) | set(as_list(one.get("DependsOn", [])))
        waiting |= (direct & resources.keys()) - found
        found |= direct & resources.keys()
    return found


def test_what_is_stored_is_told_while_all_that_a_mail_needs_is_there(everything):
    subscribed = {name for name in everything if everything[name]["Type"] == "AWS::SNS::Subscription"}
    assert len(subscribed) == 10

    # After nothing more comes.
    assert "WhatIsStored" in needed("Subscription", everything)
    # Before what the mail, the ledger and a second try need is deleted.
    assert needed("WhatIsStored", everything) >= subscribed | {
        "AlertFunction",
        "AlertFunctionEventInvokeConfig",
        "AlertFunctionLogGroup",
        "AlertFunctionPolicy",
        "AlertFunctionRole",
        "AlertTopic",
        "AlertTopicKey",
        "AlertTopicPolicy",
        "DeadLetterQueue",
        "DeadLetterQueuePolicy",
        "LedgerTable",
        "Tick",
        "TickPermission",
        # That this fails, or who asked for it, is told there.
        "DeadLetterQueueAlarm",
        "FunctionErrorsAlarm",
        "OperationsTopic",
        "OperationsTopicPolicy",
        "TickAlarm",
        "WatchStack",
    }
    asked = properties(everything, "WhatIsStored")
    assert asked["ServiceToken"] == "<AlertFunction.Arn>"
    # Lambda's three tries: the function's timeout each, after pauses of one and two minutes.
    tries = 3 * properties(everything, "AlertFunction")["Timeout"] + 60 + 120
    assert tries < asked["ServiceTimeout"] <= 600


def test_no_resource_waits_for_itself(everything):
    assert [name for name in everything if name in needed(name, everything)] == []


# ── Alarms ──────────────────────────────────────────────────────────────────────────────────────────

FUNCTION = {"FunctionName": "<AlertFunction>"}
DELIVERY = {"LogGroupName": "trail-log-group", "DestinationType": "Lambda", "FilterName": "root-usage-alert"}


@pytest.mark.parametrize(
    "name, namespace, metric, dimensions, statistic",
    [
        ("FunctionErrorsAlarm", "AWS/Lambda", "Errors", FUNCTION, "Sum"),
        ("DeadLetterErrorsAlarm", "AWS/Lambda", "DeadLetterErrors", FUNCTION, "Sum"),
        ("DroppedEventsAlarm", "AWS/Lambda", "AsyncEventsDropped", FUNCTION, "Sum"),
        ("ThrottlesAlarm", "AWS/Lambda", "Throttles", FUNCTION, "Sum"),
        ("DeliveryErrorsAlarm", "AWS/Logs", "DeliveryErrors", DELIVERY, "Sum"),
        ("DeliveryThrottlingAlarm", "AWS/Logs", "DeliveryThrottling", DELIVERY, "Sum"),
        ("OverdueAlarm", "RootUsageAlert", "Overdue", FUNCTION, "Maximum"),
        ("LedgerAlarm", "RootUsageAlert", "LedgerFailures", FUNCTION, "Maximum"),
        (
            "DeadLetterQueueAlarm",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": "<DeadLetterQueue.QueueName>"},
            "Maximum",
        ),
    ],
)
def test_one_failure_in_five_minutes_is_an_alarm(name, namespace, metric, dimensions, statistic, default):
    alarm = properties(default, name)

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (namespace, metric, statistic)
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == dimensions
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"]) == (300, 1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_a_page_that_is_not_sent_is_an_alarm_where_there_is_a_pager(default, everything):
    assert "PagerAlarm" not in default
    alarm = properties(everything, "PagerAlarm")
    same = properties(default, "LedgerAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("RootUsageAlert", "PagerFailures")
    differing = ("AlarmName", "AlarmDescription", "MetricName")
    assert {k: v for k, v in alarm.items() if k not in differing} == {k: v for k, v in same.items() if k not in differing}


def test_hours_without_a_record_are_an_alarm(default):
    alarm = properties(default, "SilenceAlarm")
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 3 * 3600
    assert " for 3 h, " in alarm["AlarmDescription"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Logs", "IncomingLogEvents", "Sum")
    assert alarm["Dimensions"] == [{"Name": "LogGroupName", "Value": "trail-log-group"}]
    # All periods, not some of them.
    assert "DatapointsToAlarm" not in alarm
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


@pytest.mark.parametrize("name, metric, hours", [("UnheardAlarm", "Unheard", 3), ("ReadersAlarm", "WithoutReaders", 1)])
def test_what_the_hourly_look_finds_wrong_is_an_alarm(name, metric, hours, default):
    alarm = properties(default, name)
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("RootUsageAlert", metric, "Maximum")
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == FUNCTION
    # One look an hour: a late delivery alone is none.
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm.get("DatapointsToAlarm", 1)) == (3600, hours, hours)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert alarm["TreatMissingData"] == "notBreaching"


def test_half_an_hour_without_a_tick_is_an_alarm(default):
    alarm = properties(default, "TickAlarm")
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 30 * 60
    assert " for 30 minutes, " in alarm["AlarmDescription"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Events", "Invocations", "Sum")
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": "<Tick>"}]
    assert "DatapointsToAlarm" not in alarm
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


def test_missing_data_is_breaching_for_silence_and_ticks_and_nowhere_else(default):
    treated = {name: one["TreatMissingData"] for name, one in alarms(default).items() if "AlarmRule" not in one}

    assert treated.pop("SilenceAlarm") == "breaching"
    assert treated.pop("TickAlarm") == "breaching"
    assert len(treated) == 14
    assert set(treated.values()) == {"notBreaching"}


def seconds(alarm):
    """How long an alarm remembers one data point."""
    assert (alarm["DatapointsToAlarm"], alarm["Threshold"]) == (1, 1)
    (period,) = {one["Period"] for one in data(alarm).values()}
    return alarm["EvaluationPeriods"] * period


def test_recipe_without_a_report_is_an_alarm_and_no_true_root_use_is(default):
    composite = properties(default, "NotReportedAlarm")
    counted, reported = properties(default, "RecipeCounted"), properties(default, "FunctionReported")

    assert composite["AlarmRule"] == 'ALARM("<RecipeCounted>")'
    assert composite["ActionsSuppressor"] == "<FunctionReported>"
    assert expression_of(counted) == "FILL(counted, 0)"
    # Each record counts 1, and what somebody else publishes with a value below zero takes nothing from a maximum.
    assert data(counted)["counted"]["Stat"] == "Maximum"
    assert expression_of(reported) == "FILL(reported, 0)"
    assert data(reported)["reported"]["Stat"] == "Sum"
    assert data(reported)["reported"]["Metric"] == {
        "Namespace": "RootUsageAlert",
        "MetricName": "Reported",
        "Dimensions": [{"Name": "FunctionName", "Value": "<AlertFunction>"}],
    }
    # A delivery of three minutes, two retries of one and two, and the metrics' own few.
    wait = composite["ActionsSuppressorWaitPeriod"]
    assert wait >= 10 * 60
    # The count must outlive the wait, or the alarm is over before it speaks; the report must outlive
    # the count, or it speaks when the report is forgotten.
    assert wait < seconds(counted) < seconds(reported)
    assert composite["ActionsSuppressorExtensionPeriod"] >= wait


def test_each_alarm_says_what_broke_and_what_to_do(default):
    for name, alarm in alarms(default).items():
        text = alarm["AlarmDescription"]
        # CloudWatch's own limit.
        assert 60 < len(text) <= 1024, name
        assert "\n" not in text, name
        if "AlarmActions" in alarm:
            # A sentence that tells the reader to do something.
            instructions = ("look ", "Look ", "replay", "repair", "Check ", "Deploy ", "deploy ")
            assert any(word in text for word in instructions), name
            assert "root-usage-alert" in text or "<AlertFunction>" in text, name


def test_alarms_of_two_stacks_have_different_names():
    one = expand()["Resources"]
    recipe = RECIPE.replace("Root Account Usage", "other")
    other = expand(Recipe=recipe, pseudo={"AWS::StackName": "second"})["Resources"]
    names = [alarm["AlarmName"] for resources in (one, other) for alarm in alarms(resources).values()]

    assert len(set(names)) == len(names)


# ── The trail ───────────────────────────────────────────────────────────────────────────────────────


def test_trail_validates_its_files_and_waits_for_the_bucket_policy(everything):
    trail = properties(everything, "Trail")

    assert trail["EnableLogFileValidation"] is True
    assert trail["IncludeGlobalServiceEvents"] is True
    assert trail["S3BucketName"] == "<TrailBucket>"
    assert trail["CloudWatchLogsRoleArn"] == "<TrailRole.Arn>"
    assert everything["Trail"]["DependsOn"] == "TrailBucketPolicy"
    # What the bucket's policy names must be this trail.
    assert trail["TrailName"] == TRAIL_ARN.rpartition("/")[2]


def test_trail_bucket_is_encrypted_versioned_and_private(everything):
    bucket = properties(everything, "TrailBucket")

    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert all(rule["Status"] == "Enabled" for rule in bucket["LifecycleConfiguration"]["Rules"])


def test_only_this_trail_writes_to_the_bucket_and_only_with_tls(everything):
    statements = policy(everything, "TrailBucketPolicy")
    check, write, deny = (statements[sid] for sid in ("AWSCloudTrailAclCheck", "AWSCloudTrailWrite", "TlsOnly"))

    assert len(statements) == 3
    for statement in (check, write):
        assert (statement["Effect"], statement["Principal"]) == ("Allow", {"Service": "cloudtrail.amazonaws.com"})
        assert statement["Condition"]["StringEquals"]["aws:SourceArn"] == TRAIL_ARN
    assert (check["Action"], check["Resource"]) == ("s3:GetBucketAcl", "<TrailBucket.Arn>")
    assert write["Action"] == "s3:PutObject"
    assert write["Resource"] == "<TrailBucket.Arn>/AWSLogs/111122223333/*"
    assert write["Condition"]["StringEquals"]["s3:x-amz-acl"] == "bucket-owner-full-control"
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Resource"] == ["<TrailBucket.Arn>", "<TrailBucket.Arn>/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_trail_writes_to_its_own_log_group_only(everything):
    role = properties(everything, "TrailRole")

    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    (inline,) = role["Policies"]
    (statement,) = inline["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == (
        "arn:aws:logs:eu-central-1:111122223333:log-group:<TrailLogGroup>:log-stream:111122223333_CloudTrail_*"
    )
    assert int(properties(everything, "TrailLogGroup")["RetentionInDays"]) > 0


def test_audit_data_and_what_is_not_told_outlive_the_stack(everything):
    for name in ("TrailBucket", "TrailLogGroup", "LedgerTable"):
        # A stack that could not be made leaves nothing behind; one that was leaves the records. What an update made that
        # is rolled back counts as not made, and in the table there may be something by then.
        policy = "Retain" if name == "LedgerTable" else "RetainExceptOnCreate"
        assert everything[name]["DeletionPolicy"] == policy, name
        assert everything[name]["UpdateReplacePolicy"] == "Retain", name
        # A name of its own would be in the way of the next stack.
        assert not {"BucketName", "LogGroupName", "TableName"} & properties(everything, name).keys(), name


def test_whatever_holds_data_says_what_becomes_of_it(everything):
    kinds = ("AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::SQS::Queue", "AWS::KMS::Key", "AWS::DynamoDB::Table")
    holding = {name: one for name, one in everything.items() if one["Type"] in kinds}

    assert len(holding) == 6
    for name, one in holding.items():
        assert {"DeletionPolicy", "UpdateReplacePolicy"} <= one.keys(), name


# ── The whole ───────────────────────────────────────────────────────────────────────────────────────

# Source: CloudFormation's resource reference; these types have no property Tags.
UNTAGGABLE = {
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::SubscriptionFilter",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "Custom::WhatIsStored",
}


def test_everything_is_tagged(everything):
    for name, resource in everything.items():
        if resource["Type"] not in UNTAGGABLE:
            assert {"Key": "Project", "Value": "root-usage-alert"} in properties(everything, name)["Tags"], name


@pytest.mark.parametrize(
    "partition, region, console, suffix",
    [
        ("aws", "us-east-1", "console.aws.amazon.com", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn", "amazonaws.com.cn"),
    ],
)
def test_template_works_in_every_partition(partition, region, console, suffix):
    pseudo = {"AWS::Partition": partition, "AWS::Region": region, "AWS::URLSuffix": suffix}
    settings = EVERYTHING["Settings"].replace("arn:aws:", f"arn:{partition}:")
    stack = expand(pseudo=pseudo, **EVERYTHING | {"Settings": settings})

    text = json.dumps(stack)
    arns = {word.split(":")[1] for word in text.split('"') if word.startswith("arn:")}
    assert arns == {partition}
    assert text.count(f"arn:{partition}:") == text.count("arn:")
    links = [value for name, value in stack["Outputs"].items() if name.endswith("Console")]
    assert len(links) == 4
    assert all(link.startswith(f"https://{console}/") and f"region={region}" in link for link in links)


def test_names_derive_from_the_stacks_so_that_two_fit_in_one_account():
    keys = ("TopicName", "QueueName", "FunctionName", "LogGroupName", "FilterName", "AlarmName", "TrailName")

    def names(stack):
        return {
            (resource["Type"], key, resource["Properties"][key])
            for resource in stack["Resources"].values()
            for key in keys
            # What is a reference belongs to this stack anyway; the trail's log group is not made by it.
            if key in resource["Properties"] and resource["Properties"][key] != "trail-log-group"
            if not resource["Properties"][key].startswith("<")
        }

    one, other = names(expand()), names(
        expand(Recipe="Second;Second;Second;Second;1;300", pseudo={"AWS::StackName": "second"})
    )
    assert len(one) == 24
    assert not one & other


def test_questions_that_matter_come_first():
    parameters = source()["Parameters"]
    questions = list(parameters)

    first = ["NotificationEmail", "OperationsEmail", "CloudTrailLogGroupName", "CreateTrail", "SecurityHubCompliance"]
    assert questions[:5] == first
    assert [name for name in questions if "Default" not in parameters[name]] == [first[0], first[2]]
    # More of them nobody answers one by one.
    assert len(questions) <= 18


def test_console_groups_and_labels_every_parameter_in_the_order_of_the_questions():
    interface = source()["Metadata"]["AWS::CloudFormation::Interface"]
    questions = list(source()["Parameters"])

    assert [name for group in interface["ParameterGroups"] for name in group["Parameters"]] == questions
    assert list(interface["ParameterLabels"]) == questions
    labels = [label["default"] for label in interface["ParameterLabels"].values()]
    labels += [group["Label"]["default"] for group in interface["ParameterGroups"]]
    assert all(labels) and len(set(labels)) == len(labels)


def test_every_pattern_says_what_would_be_right():
    for name, parameter in source()["Parameters"].items():
        assert ("AllowedPattern" in parameter) == ("ConstraintDescription" in parameter), name
        # CloudFormation shows it after "must satisfy constraint" or by itself; it refuses a longer description.
        assert len(parameter["Description"]) <= 4000, name


def test_outputs_are_what_a_person_needs_next():
    outputs = expand(**EVERYTHING)["Outputs"]

    assert list(outputs) == list(source()["Outputs"])
    for name, value in outputs.items():
        assert isinstance(value, str) and value, name


def test_everything_a_person_fills_in_or_reads_is_described():
    for group in ("Parameters", "Outputs"):
        for name, entry in source()[group].items():
            assert len(entry["Description"]) > 20, name


def test_every_parameter_is_used():
    template = source()
    text = json.dumps([template[part] for part in ("Conditions", "Resources", "Outputs")])
    for name in template["Parameters"]:
        assert f'{{"Ref": "{name}"}}' in text or f"${{{name}}}" in text, name


def test_no_text_names_a_parameter_that_is_gone():
    pages = {ROOT / "template.yaml", *ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")} - {ROOT / "docs/upgrade.md"}
    text = "".join(page.read_text() for page in pages)
    old = yaml_parse((ROOT / "tests" / "e2e" / "data" / "template-0.1.yaml").read_text())["Parameters"]
    # Tracing and Metrics, Architecture are words of AWS's too.
    gone = set(old) - set(source()["Parameters"]) - {"Tracing", "Metrics", "Architecture"}
    assert len(gone) == 17
    assert [name for name in gone if name in text] == []


def test_each_suppressed_check_has_its_reason(everything):
    suppressed = [
        (name, skip)
        for name, resource in everything.items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert suppressed
    for name, skip in suppressed:
        assert len(skip["comment"]) > 20, name
