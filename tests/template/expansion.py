"""template.yaml as CloudFormation would carry it out, for given parameters.

SAM's own translator expands it; the rest, conditions and functions, is evaluated here. What only AWS
knows (ARNs, generated names) becomes a readable placeholder such as `<Trail.Arn>`, and a name that
stands for nothing is an error, as it would be in AWS.
"""

import functools
import json
import os
import pathlib
import re
import sys

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
REQUIRED = {"NotificationEmail": "security@example.com", "CloudTrailLogGroupName": "trail-log-group"}
PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "root-usage-alert",
    "AWS::URLSuffix": "amazonaws.com",
}
# With everything that can be had: what a scanner has to see once.
EVERYTHING = {
    "CreateTrail": "true",
    "CloudTrailLogGroupName": "",
    "SecurityHubCompliance": "true",
    "NotificationEmail": ",".join(f"{number}@example.com" for number in range(1, 6)),
    "OperationsEmail": ",".join(f"operations-{number}@example.com" for number in range(1, 6)),
    "Rules": "root-usage,cis",
    "ExtraRulePattern": "{ $.eventName = StopLogging }",
    "RunbookUrl": "https://wiki.example.com/root",
    "AccountNames": "organization",
    "AlertKey": "create",
    "Settings": "HTTPS_FORMAT=amazon-q;PAGER_TOPIC_ARN=arn:aws:sns:us-west-2:444455556666:pager",
}


class Refused(Exception):
    """CloudFormation would refuse these parameters, or this template."""


class NoManagedPolicies(ManagedPolicyLoader):
    """The template names no managed policy, so none has to be looked up in AWS."""

    def __init__(self):
        super().__init__(iam_client=None)

    def load(self):
        return {}


def source():
    return yaml_parse(TEMPLATE.read_text())


@functools.cache
def translated(text):
    """What SAM makes of the template. It reads no parameter: what depends on one is still a function."""
    os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO["AWS::Region"])
    template = yaml_parse(text)
    # In a deployment SAM has uploaded the code by now; the translator refuses a local path.
    template["Resources"]["AlertFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    return json.dumps(transform(template, {}, NoManagedPolicies()))


def expand(text=None, pseudo=None, **parameters):
    """The stack for these parameters, with the defaults for the rest: its resources and outputs."""
    template = json.loads(translated(text or TEMPLATE.read_text()))
    return Evaluation(template, {**REQUIRED, **parameters}, {**PSEUDO, **(pseudo or {})}).stack()


class Evaluation:
    """One template with one set of parameters."""

    ABSENT = object()

    def __init__(self, template, given, pseudo):
        self.template = template
        self.conditions = template.get("Conditions", {})
        self.pseudo = pseudo
        declared = template["Parameters"]
        if unknown := given.keys() - declared.keys():
            raise Refused(f"no parameters of the template: {sorted(unknown)}")
        self.parameters = {}
        for name, parameter in declared.items():
            if name not in given and "Default" not in parameter:
                raise Refused(f"{name} has no value")
            self.parameters[name] = self.checked(name, parameter, str(given.get(name, parameter.get("Default"))))
        for rule in template.get("Rules", {}).values():
            for assertion in rule["Assertions"]:
                if not self.value(assertion["Assert"]):
                    raise Refused(assertion["AssertDescription"])
        self.existing = {
            name: resource
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    @staticmethod
    def checked(name, parameter, value):
        """The value, if the parameter's own limits allow it."""
        limits = (
            "AllowedValues" not in parameter or value in [str(one) for one in parameter["AllowedValues"]],
            re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), value) is not None,
            len(value) >= parameter.get("MinLength", 0),
            len(value) <= parameter.get("MaxLength", 4096),
            "MinValue" not in parameter or float(value) >= parameter["MinValue"],
            "MaxValue" not in parameter or float(value) <= parameter["MaxValue"],
        )
        if not all(limits):
            raise Refused(f"{name} may not be {value!r}")
        return value

    def stack(self):
        resources = {}
        for name, resource in self.existing.items():
            for needed in as_list(resource.get("DependsOn", [])):
                # CloudFormation ignores one whose condition is false; one that is nowhere is an error.
                if needed not in self.template["Resources"]:
                    raise Refused(f"{name} depends on {needed}, which is nowhere")
            resources[name] = self.value(resource)
        outputs = {
            name: self.value(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if "Condition" not in output or self.condition(output["Condition"])
        }
        return {"Resources": resources, "Outputs": outputs}

    def condition(self, name):
        if name not in self.conditions:
            raise Refused(f"no condition {name}")
        return self.value(self.conditions[name])

    def value(self, node):
        if isinstance(node, list):
            values = [self.value(one) for one in node]
            return [one for one in values if one is not self.ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (key, argument), = node.items()
            if key == "Ref":
                return self.ref(argument)
            if key == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if key.startswith("Fn::"):
                return self.function(key[4:], argument)
        values = {key: self.value(one) for key, one in node.items()}
        return {key: one for key, one in values.items() if one is not self.ABSENT}

    def function(self, name, argument):
        if name == "If":
            condition, then, otherwise = argument
            return self.value(then if self.condition(condition) else otherwise)
        if name == "GetAtt":
            return self.attribute(*(argument.split(".", 1) if isinstance(argument, str) else argument))
        if name == "Sub":
            text, more = argument if isinstance(argument, list) else (argument, {})
            more = self.value(more)
            return re.sub(r"\$\{([^!}][^}]*)\}", lambda found: self.substituted(found[1], more), text)
        arguments = self.value(argument)
        if name == "Equals":
            # CloudFormation compares text.
            return str(arguments[0]) == str(arguments[1])
        if name == "Not":
            return not arguments[0]
        if name == "And":
            return all(arguments)
        if name == "Or":
            return any(arguments)
        if name == "FindInMap":
            found = self.template["Mappings"]
            for key in arguments:
                found = found[key]
            return found
        if name == "Join":
            return arguments[0].join(arguments[1])
        if name == "Split":
            return arguments[1].split(arguments[0])
        if name == "Select":
            index, values = int(arguments[0]), arguments[1]
            if index >= len(values):
                raise Refused(f"Fn::Select has no value {index} in {values}")
            return values[index]
        raise Refused(f"the evaluation does not know Fn::{name}")

    def substituted(self, name, more):
        if name in more:
            return more[name]
        if name.startswith("AWS::") or "." not in name:
            return self.ref(name)
        return self.attribute(*name.split(".", 1))

    def ref(self, name):
        if name == "AWS::NoValue":
            return self.ABSENT
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self.attribute(name, None)

    def attribute(self, name, attribute):
        if name not in self.existing:
            raise Refused(f"{name} does not exist in this stack")
        return f"<{name}.{attribute}>" if attribute else f"<{name}>"


def as_list(value):
    return value if isinstance(value, list) else [value]


def main(directory):
    """Write what a scanner should read: the default stack, and the one with everything."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, parameters in {"default": {}, "everything": EVERYTHING}.items():
        stack = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": expand(**parameters)["Resources"]}
        (directory / f"{name}.json").write_text(json.dumps(stack, indent=2))


if __name__ == "__main__":
    main(sys.argv[1])
