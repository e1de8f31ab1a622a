"""IAM's evaluation of policies, as far as template.yaml uses them: statements, what they apply to, and what follows.

Source: IAM User Guide, "Policy evaluation logic", "IAM JSON policy elements: Condition operators" and "AWS JSON policy
elements: Principal". An operator or an element that isn't known here is an error, so that no statement passes because of
what isn't evaluated. What AWS names is a placeholder in the expanded template; here each is an ARN of the right form.
"""

import copy
import dataclasses
import json
import re

from expansion import PSEUDO, as_list

ACCOUNT = PSEUDO["AWS::AccountId"]
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
# Whoever is named so in a request.
USERS = {"user": f"arn:aws:iam::{ACCOUNT}:user/alice", "stranger": "arn:aws:iam::444455556666:user/mallory"}


class Invalid(Exception):
    """IAM would refuse this, or it isn't evaluated here."""


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement, with the resource of the template that has it."""

    resource: str
    sid: str
    # What it says about: the identity that has it, or the ARN of the thing that does; the other one is None.
    identity: str | None
    attached: str | None
    text: str

    @property
    def body(self):
        return json.loads(self.text)

    def but(self, **changed):
        """The same with other elements; one that is None is left out."""
        body = {key: value for key, value in {**self.body, **changed}.items() if value is not None}
        return dataclasses.replace(self, text=json.dumps(body))


@dataclasses.dataclass(frozen=True)
class Request:
    """A call: by whom, on what, and what else AWS knows of it."""

    who: str
    action: str
    on: str
    context: tuple

    @property
    def keys(self):
        known = {"aws:SecureTransport": "true", **dict(self.context)}
        if arn := self.arn:
            known.setdefault("aws:PrincipalArn", arn)
        return known

    @property
    def arn(self):
        """Of a session the role's; a service has none."""
        return USERS.get(self.who) or (self.who if self.who.startswith("arn:") else None)

    @property
    def account(self):
        return self.arn and self.arn.split(":")[4]


# ── The statements of a stack ───────────────────────────────────────────────────────────────────────


def named(stack):
    """The resources with an ARN in each place of a placeholder."""
    arns = {}
    for name, one in stack["Resources"].items():
        service = {"AWS::SNS::Topic": "sns", "AWS::IAM::Role": "iam"}.get(one["Type"], "")
        own = f"root-usage-alert-{name}"
        arn = {
            "AWS::SNS::Topic": f"arn:aws:sns:eu-central-1:{ACCOUNT}:{one['Properties'].get('TopicName')}",
            "AWS::SQS::Queue": f"arn:aws:sqs:eu-central-1:{ACCOUNT}:{one['Properties'].get('QueueName')}",
            "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{own}",
            "AWS::KMS::Key": f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{own}",
            "AWS::DynamoDB::Table": f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/{own}",
            "AWS::Lambda::Function": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{one['Properties'].get('FunctionName')}",
            "AWS::Events::Rule": f"arn:aws:events:eu-central-1:{ACCOUNT}:rule/{own}",
            "AWS::Logs::LogGroup": f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:{own}:*",
            "AWS::S3::Bucket": f"arn:aws:s3:::{own.lower()}",
        }.get(one["Type"])
        if arn:
            arns[f"<{name}.Arn>"] = arn
            # A topic's name is its ARN, in CloudFormation.
            arns[f"<{name}>"] = arn if service == "sns" else own
    text = json.dumps(stack["Resources"])
    for placeholder, arn in arns.items():
        text = text.replace(placeholder, arn)
    return json.loads(text), arns


def statements(stack):
    """Every statement of the stack, and the ARNs that its placeholders stand for."""
    resources, arns = named(stack)
    found = []

    def add(name, document, identity, attached):
        for index, body in enumerate(as_list(document["Statement"])):
            if unknown := body.keys() - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}:
                raise Invalid(f"{name}: not evaluated here: {sorted(unknown)}")
            found.append(Statement(name, body.get("Sid", str(index)), identity, attached, json.dumps(body)))

    for name, one in resources.items():
        properties, own = one["Properties"], arns.get(f"<{name}.Arn>")
        if one["Type"] == "AWS::IAM::Role":
            add(name, properties["AssumeRolePolicyDocument"], None, own)
            for policy in properties.get("Policies", []):
                add(name, policy["PolicyDocument"], own, None)
        elif one["Type"] == "AWS::IAM::Policy":
            (role,) = properties["Roles"]
            add(name, properties["PolicyDocument"], f"arn:aws:iam::{ACCOUNT}:role/{role}", None)
        elif one["Type"] == "AWS::Lambda::Permission":
            # As Lambda writes it into the function's policy. Source: Lambda Developer Guide, "Using resource-based policies".
            function = arns["<AlertFunction.Arn>"]
            if properties.keys() != {"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"}:
                raise Invalid(f"{name}: not evaluated here: {sorted(properties)}")
            body = {
                "Sid": "permission",
                "Effect": "Allow",
                "Principal": {"Service": properties["Principal"]},
                "Action": properties["Action"],
                "Resource": function,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": properties["SourceAccount"]},
                    "ArnLike": {"aws:SourceArn": properties["SourceArn"]},
                },
            }
            add(name, {"Statement": body}, None, function)
        else:
            attached = own
            for key, members in {"AWS::SNS::TopicPolicy": "Topics", "AWS::SQS::QueuePolicy": "Queues"}.items():
                if one["Type"] == key:
                    (attached,) = properties[members]
                    attached = arns.get(f"<{attached.removeprefix('root-usage-alert-')}.Arn>", attached)
            if one["Type"] == "AWS::S3::BucketPolicy":
                attached = f"arn:aws:s3:::{properties['Bucket'].lower()}"
            for document in documents(properties):
                if attached is None:
                    raise Invalid(f"{name}: a policy of {one['Type']}, which isn't known here")
                add(name, document, None, attached)
    return found, arns


def documents(node):
    """Every policy document in a resource's properties, wherever it stands."""
    if isinstance(node, dict):
        if "Statement" in node:
            yield node
        else:
            for one in node.values():
                yield from documents(one)
    elif isinstance(node, list):
        for one in node:
            yield from documents(one)


# ── What a statement applies to ─────────────────────────────────────────────────────────────────────


def applies(statement, request):
    """Whether a statement, which may be an Allow or a Deny, is about a request; "account" if it leaves it to the account."""
    body = statement.body
    if not any(like(pattern.lower(), request.action.lower()) for pattern in as_list(body["Action"])):
        return False
    if statement.attached and not (request.on == statement.attached or request.on.startswith(f"{statement.attached}/")):
        return False
    # In the policy of a role, of a key and of a table there is nothing else that it could be about.
    if not any(like(pattern, request.on) for pattern in as_list(body.get("Resource", "*"))):
        return False
    for operator, wanted in body.get("Condition", {}).items():
        for key, values in wanted.items():
            if not holds(operator, request.keys.get(key), as_list(values)):
                return False
    if statement.identity:
        return statement.identity == request.arn
    return is_principal(body["Principal"], request)


def is_principal(principal, request):
    if principal == "*":
        return True
    found = False
    for kind, names in principal.items():
        for name in as_list(names):
            if kind == "Service":
                found = found or name == request.who
            elif kind != "AWS" or "*" in name:
                raise Invalid(f"a principal that is not evaluated here: {principal}")
            elif name == f"arn:aws:iam::{request.account}:root":
                found = found or "account"
            elif name == request.arn:
                found = True
    return found


def holds(operator, found, values):
    if operator == "ArnNotEquals":
        return not holds("ArnEquals", found, values)
    if operator not in ("StringEquals", "StringLike", "ArnEquals", "ArnLike", "Bool"):
        raise Invalid(f"a condition operator that is not evaluated here: {operator}")
    if found is None:
        return False
    if operator in ("StringEquals", "Bool"):
        return found in values
    if operator == "StringLike":
        return any(like(value, found) for value in values)
    # Each of the six parts on its own: a star goes over no colon but in the last.
    parts = found.split(":", 5)
    return any(
        len(value.split(":", 5)) == len(parts) and all(map(like, value.split(":", 5), parts)) for value in values
    )


def like(pattern, text):
    """With the two wildcards that IAM has."""
    parts = re.split(r"([*?])", pattern)
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts), text, re.DOTALL) is not None


# ── What follows ────────────────────────────────────────────────────────────────────────────────────


def allowed(found, request, may_all=("user", "stranger")):
    """Whether AWS carries a call out: every policy together. Users have a policy that allows them everything."""
    deciding = [(one, applies(one, request)) for one in found]
    deciding = [(one, how) for one, how in deciding if how]
    if any(one.body["Effect"] == "Deny" for one, _ in deciding):
        return False
    by_identity = request.who in may_all or any(one.identity for one, _ in deciding)
    by_resource = any(one.attached and how is True for one, how in deciding)
    by_account = any(one.attached and how == "account" for one, how in deciding) and by_identity
    if request.action.split(":")[0] in ("kms", "sts"):
        # Of a key or a role, the policy that is attached to it has to say so; that may be that it leaves it to the account.
        known = any(one.attached == request.on for one in found)
        return by_resource or by_account or (not known and by_identity)
    if request.account == ACCOUNT:
        return by_resource or by_identity
    return by_resource if request.account is None else (by_resource or by_account) and by_identity


def widened(statement):
    """The same statement, broader in one thing each time, and what that was."""
    body = statement.body
    for operator, wanted in body.get("Condition", {}).items():
        for key in wanted:
            condition = copy.deepcopy(body["Condition"])
            del condition[operator][key]
            yield f"without {key}", statement.but(Condition={name: one for name, one in condition.items() if one} or None)
    if as_list(body["Action"]) != ["*"]:
        yield "for every action", statement.but(Action="*")
    # In the policy of a thing every resource is that thing; only of a bucket and what is in it one alone may be meant.
    one_of_two = statement.attached and statement.attached.startswith("arn:aws:s3:") and isinstance(body["Resource"], str)
    if body.get("Resource", "*") != "*" and (statement.identity or one_of_two):
        yield "for every resource", statement.but(Resource="*")
    if "Principal" in body and body["Principal"] != "*":
        yield "for everybody", statement.but(Principal="*")
