"""`make deploy` without its build: what it finds and asks, and that a new operator ends with a test in the inbox."""

import http.server
import json
import threading
import time

import pytest

from conftest import DELIVERY_SECONDS, REGION, ROOT, run, tool, wait_for
from test_deployed import EMAIL, EVERY_RECORD, NO_COMPOSITE_ALARM, Inbox, messages, sam  # noqa: F401 (a fixture)

NAME = "first-hour"
OPERATIONS = "operations@example.com"
# What is not asked.
MORE = NO_COMPOSITE_ALARM | EVERY_RECORD | {"AccountNames": "111122223333=payments-prod", "Settings": "HISTORY_MINUTES=0"}
TRAIL = "arn:aws:logs:{region}:000000000000:log-group:{name}:*"


@pytest.fixture(scope="module")
def trails(emulator):
    """Three trails: one of every Region, one of a single one, one whose log group has no room; and Control Tower's."""
    logs, cloudtrail, s3 = (emulator.client(service) for service in ("logs", "cloudtrail", "s3"))
    s3.create_bucket(Bucket="trails", CreateBucketConfiguration={"LocationConstraint": REGION})
    names = ["every-region", "one-region", "full", "aws-controltower/CloudTrailLogs-abc-def"]
    for name in names:
        logs.create_log_group(logGroupName=name)
    for name in names[:3]:
        cloudtrail.create_trail(Name=name, S3BucketName="trails", IsMultiRegionTrail=name != "one-region")
        # The emulator keeps the log group of an update only.
        cloudtrail.update_trail(
            Name=name,
            CloudWatchLogsLogGroupArn=TRAIL.format(region=REGION, name=name),
            CloudWatchLogsRoleArn="arn:aws:iam::000000000000:role/trail",
        )
    target = "arn:aws:lambda:eu-central-1:000000000000:function:other"
    for filter_name in ("one", "two"):
        logs.put_subscription_filter(
            logGroupName="full", filterName=filter_name, filterPattern="", destinationArn=target
        )
    yield
    for name in names[:3]:
        cloudtrail.delete_trail(Name=name)
    for name in names:
        logs.delete_log_group(logGroupName=name)


@pytest.fixture
def deploy(sam, trails):  # noqa: F811
    """`deploy.py`, answered line by line."""

    def deploy(*answers, check=True):
        template = sam.deploy[sam.deploy.index("--template-file") + 1]
        command = [tool("python", "tools"), str(ROOT / "operations/deploy.py"), NAME, "--sam", tool("sam", "sam")]
        command += ["--template-file", template, "--config-file", str(ROOT / "samconfig.yaml")]
        command += [part for name, value in MORE.items() for part in ("--set", f"{name}={value}")]
        typed = "".join(f"{answer}\n" for answer in answers)
        return run([*command, "--no-confirm-changeset"], sam.env, answers=typed, check=check)

    return deploy


class Subscriber:
    """An HTTP subscriber, which keeps the link that confirms it."""

    def __init__(self):
        links = self.links = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if body["Type"] == "SubscriptionConfirmation":
                    links.append(body["SubscribeURL"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


def test_a_new_operator_ends_with_a_test_in_the_inbox(deploy, emulator, sam):  # noqa: F811
    done = deploy("7", "2", "no address", "", OPERATIONS, "", "fr", check=False)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        # What is best comes first, and each says what is wrong with it.
        listed = [line.strip() for line in done.stdout.splitlines() if line.strip()[:2] in ("1.", "2.", "3.", "4.")]
        assert listed == [
            "1. aws-controltower/CloudTrailLogs-abc-def (Control Tower's)",
            "2. every-region (trail every-region)",
            "3. one-region (trail one-region; covers one Region only: root's actions elsewhere are missed)",
            "4. full (trail full; has 2 subscription filters already, the maximum)",
        ]
        assert "That is neither a number in the list" in done.stdout
        assert "Enter up to 5 e-mail addresses" in done.stdout
        assert "so no test is sent" in done.stdout

        with sam.running(NAME) as stack:
            def as_deployed():
                found = emulator.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]["Parameters"]
                return {one["ParameterKey"]: one["ParameterValue"] for one in found}

            parameters = as_deployed()
            assert parameters["CloudTrailLogGroupName"] == "every-region"
            assert (parameters["NotificationEmail"], parameters["AlertLanguage"]) == ("", "en")

            # A second time: what isn't answered stays, and whoever has not confirmed is asked for.
            inbox, subscriber = Inbox(emulator, stack.topic, "first-hour"), Subscriber()
            emulator.client("sns").subscribe(TopicArn=stack.topic, Protocol="http", Endpoint=subscriber.url)
            link = wait_for("the link", lambda: subscriber.links, DELIVERY_SECONDS)[0]
            again = deploy("", EMAIL + " ", "", "", "", "wrong", link)
            assert f"alarms about the function? [{OPERATIONS}]:" in again.stdout
            assert f"  {subscriber.url}, topic {stack.topic.rsplit(':', 1)[1]}" in again.stdout
            assert "Invalid token" in again.stdout and "Confirmed." in again.stdout
            assert as_deployed() == parameters | {"NotificationEmail": EMAIL}
            assert EMAIL in again.stdout.rsplit("The topic accepted a test", 1)[1]
            mail = wait_for("the test", inbox.take, DELIVERY_SECONDS)
            assert mail["Subject"].startswith("[TEST]")

            # And the alert that all of this is for, with the account's name.
            trail, record = "every-region", messages("create-access-key")[-1]
            logs = emulator.client("logs")
            logs.create_log_stream(logGroupName=trail, logStreamName="trail")
            event = {"timestamp": int(time.time() * 1000), "message": record}
            logs.put_log_events(logGroupName=trail, logStreamName="trail", logEvents=[event])
            mail = wait_for("the alert", inbox.take, DELIVERY_SECONDS)
            assert mail["Subject"].startswith("[CRITICAL] payments-prod: root created an access key"), mail["Subject"]
            inbox.close()
    finally:
        emulator.client("cloudformation").delete_stack(StackName=NAME)
