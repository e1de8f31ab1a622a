"""A deployed stack and its function, for the commands beside this file."""

import contextlib
import dataclasses
import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# The function may take 30 s. Who gives up earlier has invoked it, and doesn't know what it did.
CONFIG = Config(read_timeout=120, retries={"mode": "standard", "max_attempts": 5})


class Failure(Exception):
    """Why a command can't go on, in a sentence."""


@contextlib.contextmanager
def one_line_errors():
    """What AWS refuses ends the command with one line and exit code 2."""
    try:
        yield
    except (Failure, BotoCoreError, ClientError) as error:
        print(printable(str(error)), file=sys.stderr)
        sys.exit(2)


def printable(text):
    """The text on one line, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


@dataclasses.dataclass
class Answer:
    """What the function answered: a report, or an error."""

    report: dict | None
    error_type: str = ""
    error: str = ""

    def __str__(self):
        if self.report is None:
            return printable(f"{self.error_type}: {self.error}")
        counts = ("matched", "duplicate", "unreadable", "ignored", "held_back", "waiting", "ledger_failures", "mails")
        said = [f"{name} {self.report[name]}" for name in counts if self.report.get(name)]
        alert = [f"alert {self.report['alert_id']}"] if self.report.get("alert_id") else []
        return ", ".join(said + alert) or "nothing to report"


class Stack:
    """The stack of that name in the Region and account that the AWS CLI would use."""

    def __init__(self, name):
        self.session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        self.name = name
        found = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
        self.parameters = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}
        # arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/ID
        self.account = found["StackId"].split(":")[4]
        self.lambda_ = self.client("lambda")

    def client(self, service):
        return self.session.client(service, config=CONFIG)

    def output(self, key):
        if key not in self.outputs:
            raise Failure(f"the stack {self.name} has no output {key}; is it a stack of root-usage-alert?")
        return self.outputs[key]

    def invoke(self, event):
        """Have the function handle an event, given as JSON text, and wait for its answer."""
        done = self.lambda_.invoke(FunctionName=self.output("FunctionName"), Payload=event.encode())
        answer = json.loads(done["Payload"].read())
        if "FunctionError" not in done:
            return Answer(answer)
        return Answer(None, answer.get("errorType", done["FunctionError"]), answer.get("errorMessage", ""))
