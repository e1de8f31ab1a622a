"""What template.yaml says, after SAM has expanded it: what no emulator checks."""

import json

import pytest
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from conftest import REGION, ROOT

ACCOUNT_ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}


class NoManagedPolicies(ManagedPolicyLoader):
    """The template names no managed policy, so none has to be looked up in AWS."""

    def __init__(self):
        super().__init__(iam_client=None)

    def load(self):
        return {}


@pytest.fixture(scope="module")
def source():
    return yaml_parse((ROOT / "template.yaml").read_text())


@pytest.fixture(scope="module")
def resources(monkeypatch_module):
    """The resources of the CloudFormation template that SAM makes of ours."""
    monkeypatch_module.setenv("AWS_DEFAULT_REGION", REGION)
    template = yaml_parse((ROOT / "template.yaml").read_text())
    # In a deployment SAM has uploaded the code by now; the translator refuses a local path.
    template["Resources"]["AlertFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, NoManagedPolicies())["Resources"]


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def of_type(resources, kind):
    return [one for one in resources.values() if one["Type"] == kind]


def only(resources, kind):
    (one,) = of_type(resources, kind)
    return one


def statements(resources):
    """Every policy statement of the template, with the name of the resource that has it."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties[key] for key in ("PolicyDocument", "AssumeRolePolicyDocument") if key in properties]
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def as_list(value):
    return value if isinstance(value, list) else [value]


def test_subscription_lets_through_exactly_what_the_rule_matches(source):
    (rule,) = [rule for rule in json.loads((ROOT / "rules.json").read_text()) if rule["id"] == "root-usage"]

    assert source["Parameters"]["SubscriptionFilterPattern"]["Default"] == rule["pattern"]


def test_published_rules_stand_in_the_alarms_to_the_letter():
    resources = yaml_parse((ROOT / "cis-alarms.yaml").read_text())["Resources"]
    rules = [rule for rule in json.loads((ROOT / "rules.json").read_text()) if "cis" in rule["sets"]]
    filters = [one["Properties"] for one in of_type(resources, "AWS::Logs::MetricFilter")]
    alarms = [one["Properties"] for one in of_type(resources, "AWS::CloudWatch::Alarm")]

    assert [one["FilterPattern"] for one in filters] == [rule["pattern"] for rule in rules]
    metrics = [metric for one in filters for metric in one["MetricTransformations"]]
    counted = [(metric["MetricNamespace"], metric["MetricName"]) for metric in metrics]
    assert [(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms] == counted
    assert len({name for _, name in counted}) == len(rules)


def test_extra_rule_opens_a_subscription_that_was_left_at_its_default(source, resources):
    default = source["Parameters"]["SubscriptionFilterPattern"]["Default"]

    assert source["Conditions"]["ExtraRuleNeedsEveryRecord"] == {
        "Fn::And": [
            {"Fn::Not": [{"Fn::Equals": [{"Ref": "ExtraRulePattern"}, ""]}]},
            {"Fn::Equals": [{"Ref": "SubscriptionFilterPattern"}, default]},
        ]
    }
    assert only(resources, "AWS::Logs::SubscriptionFilter")["Properties"]["FilterPattern"] == {
        "Fn::If": ["ExtraRuleNeedsEveryRecord", "", {"Ref": "SubscriptionFilterPattern"}]
    }


def test_only_the_trails_log_group_in_this_account_may_invoke(resources):
    permission = only(resources, "AWS::Lambda::Permission")["Properties"]

    assert permission["Principal"] == "logs.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert permission["SourceArn"] == {
        "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
        ":log-group:${CloudTrailLogGroupName}:*"
    }


def test_permission_is_there_before_the_subscription(resources):
    subscription = only(resources, "AWS::Logs::SubscriptionFilter")

    (needed,) = as_list(subscription["DependsOn"])
    assert resources[needed]["Type"] == "AWS::Lambda::Permission"


def test_nothing_is_allowed_on_every_resource_or_by_every_action(resources):
    for name, statement in statements(resources):
        if statement["Effect"] == "Allow":
            assert "*" not in as_list(statement.get("Resource", [])), name
            assert not any("*" in action for action in as_list(statement["Action"])), name
            assert statement.get("Principal") != "*", name


def test_role_allows_what_the_function_does_and_no_more(resources):
    role = only(resources, "AWS::IAM::Role")["Properties"]

    (policy,) = role["Policies"]
    allowed = [
        (action, statement["Resource"])
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    ]
    assert allowed == [
        ("sns:Publish", {"Ref": "AlertTopic"}),
        ("logs:CreateLogStream", {"Fn::GetAtt": ["AlertFunctionLogGroup", "Arn"]}),
        ("logs:PutLogEvents", {"Fn::GetAtt": ["AlertFunctionLogGroup", "Arn"]}),
        ("sqs:SendMessage", {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}),
    ]
    assert "ManagedPolicyArns" not in role


def test_topic_takes_nothing_from_outside_the_account_or_without_tls(resources):
    allow, deny = only(resources, "AWS::SNS::TopicPolicy")["Properties"]["PolicyDocument"]["Statement"]

    assert (allow["Effect"], allow["Principal"]) == ("Allow", {"AWS": ACCOUNT_ROOT})
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sns:Publish")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_failed_events_are_kept_encrypted_and_for_two_weeks(resources):
    queue = only(resources, "AWS::SQS::Queue")["Properties"]
    function = only(resources, "AWS::Lambda::Function")["Properties"]

    assert function["DeadLetterConfig"] == {"TargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MaximumMessageSize"] == 1024 * 1024
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 60 * 60


def test_functions_log_is_not_kept_forever(resources):
    assert only(resources, "AWS::Logs::LogGroup")["Properties"]["RetentionInDays"] > 0


def test_email_address_may_be_left_empty(source, resources):
    assert only(resources, "AWS::SNS::Subscription")["Condition"] == "HasNotificationEmail"
    assert source["Conditions"]["HasNotificationEmail"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "NotificationEmail"}, ""]}]
    }


def test_template_works_in_every_partition():
    assert "arn:aws" not in (ROOT / "template.yaml").read_text()


def test_everything_a_person_fills_in_or_reads_is_described(source):
    for group in ("Parameters", "Outputs"):
        for name, entry in source[group].items():
            assert len(entry["Description"]) > 20, name
