"""What others than mailboxes get: a chat channel by HTTP, queues that choose, and the topic of a pager.

The function's real process publishes to topics of the emulator, which delivers as SNS does: by protocol, and by filter
policy. docs/channels.md says what the emulator can't show.
"""

import contextlib
import http.server
import json
import threading
import urllib.request
import uuid

import jsonschema
import pytest

from conftest import DELIVERY_SECONDS, EVENTS, REGION, ROOT, wait_for
from instances import create_table
from test_deployed import Inbox
from test_function import ROOT_EVENT, TAKEN, binary, function, refusal  # noqa: F401 (binary is a fixture)

SCHEMA = json.loads((ROOT / "crates/root-usage/tests/data/amazon-q.schema.json").read_text())
LOW_EVENT = (EVENTS / "root-sign-in-failed.json").read_text()
PAGER = "arn:aws:sns:us-west-2:444455556666:pager"
ALERTS = "arn:aws:sns:eu-central-1:111122223333:alerts"


class Subscriber(http.server.BaseHTTPRequestHandler):
    """An endpoint as Amazon Q's or anybody's: it confirms its subscription, and keeps what arrives."""

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        if sent["Type"] == "SubscriptionConfirmation":
            urllib.request.urlopen(sent["SubscribeURL"], timeout=10).close()
        else:
            self.server.arrived.append(sent)


@contextlib.contextmanager
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
    server.daemon_threads = True
    server.arrived = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


@pytest.fixture
def topic(emulator):
    sns = emulator.client("sns")
    arn = sns.create_topic(Name=f"alerts-{uuid.uuid4().hex}")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture
def pager(emulator):
    """The topic of a pager."""
    sns = emulator.client("sns")
    arn = sns.create_topic(Name=f"pager-{uuid.uuid4().hex}")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@contextlib.contextmanager
def inbox(emulator, topic, **attributes):
    """A queue that is subscribed with these attributes."""
    queue = Inbox(emulator, topic, f"inbox-{uuid.uuid4().hex}")
    for name, value in attributes.items():
        value = value if isinstance(value, str) else json.dumps(value)
        queue.sns.set_subscription_attributes(SubscriptionArn=queue.subscription, AttributeName=name, AttributeValue=value)
    try:
        yield queue
    finally:
        queue.close()


def all_of(queue):
    """What is in a queue, once something is."""
    found = [wait_for("a message in the queue", queue.take, DELIVERY_SECONDS)]
    while more := queue.take():
        found.append(more)
    return found


def real_sns(emulator, topic, **variables):
    return {"AWS_ENDPOINT_URL_SNS": emulator.url, "ALERT_TOPIC_ARN": topic, **variables}


def test_a_subscriber_by_http_gets_the_notification_and_a_queue_the_document(binary, emulator, topic, tmp_path):
    sns = emulator.client("sns")
    with endpoint() as (server, url), inbox(emulator, topic) as queue:
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
        confirmed = lambda: "PendingConfirmation" not in {  # noqa: E731
            one["SubscriptionArn"] for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        }
        wait_for("the subscription to be confirmed", confirmed, DELIVERY_SECONDS)
        with function(binary, tmp_path, [TAKEN], **real_sns(emulator, topic, HTTPS_FORMAT="amazon-q")) as stub:
            assert stub.invoke(ROOT_EVENT)[1]["mails"] == 1
            assert stub.invoke('{"test":{}}')[1]["mails"] == 1
            kind, _ = stub.invoke('{"awslogs":{"data":"bm90IGd6aXA="}}')
            assert kind == "error"
        wait_for("three notifications", lambda: len(server.arrived) == 3, DELIVERY_SECONDS)
        documents = [json.loads(each["Message"])["schema"] for each in all_of(queue)]

    assert sorted(documents) == ["root-usage-alert/1", "root-usage-notice/1", "root-usage-notice/1"]
    notifications = {}
    for each in server.arrived:
        notification = json.loads(each["Message"])
        jsonschema.validate(notification, SCHEMA)
        assert notification["content"]["title"] == each["Subject"]
        notifications[notification["metadata"]["eventType"]] = notification
    assert set(notifications) == {"root-usage-alert", "root-usage-test", "root-usage-damaged-batch"}
    alert = notifications["root-usage-alert"]
    assert "iam CreateAccessKey" in alert["content"]["description"]
    assert alert["content"]["nextSteps"][0].startswith("Ask everyone who holds root's credentials")


def test_an_incident_is_one_thread(binary, emulator, topic, tmp_path):
    table = f"ledger-{uuid.uuid4().hex}"
    create_table(emulator.client("dynamodb"), table)
    ledger = {"LEDGER_TABLE": table, "AWS_ENDPOINT_URL_DYNAMODB": emulator.url}
    with function(binary, tmp_path, [TAKEN], HTTPS_FORMAT="amazon-q", **ledger) as stub:
        stub.invoke((EVENTS / "root-sign-in-without-mfa.json").read_text())
        stub.invoke(ROOT_EVENT)
        stub.invoke('{"tick":{"all":true}}')
        told = [json.loads(json.loads(published["Message"])["https"]) for published in stub.published]
    emulator.client("dynamodb").delete_table(TableName=table)

    assert len(told) >= 2
    assert told[0]["metadata"]["eventType"] == "root-usage-first"
    assert told[-1]["metadata"]["eventType"] == "root-usage-incident-closed"
    assert len({each["metadata"]["threadId"] for each in told}) == 1
    assert len({each["id"] for each in told}) == len(told)


def test_subscribers_by_https_get_the_document_without_the_setting(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN]) as stub:
        stub.invoke(ROOT_EVENT)
        assert set(json.loads(stub.published[0]["Message"])) == {"default", "email", "sms"}


@pytest.mark.parametrize(
    "policy, kinds",
    [
        ({"FilterPolicy": {"severity": ["CRITICAL"]}}, ["alert"]),
        ({"FilterPolicy": {"severity": ["CRITICAL"], "account": ["111122223333"]}}, ["alert"]),
        ({"FilterPolicy": {"severity": ["CRITICAL"], "account": ["444455556666"]}}, []),
        ({"FilterPolicy": {"region": [{"prefix": "us-"}], "rule": ["root-usage"]}}, ["alert", "alert"]),
        ({"FilterPolicy": {"severity": ["CRITICAL", {"exists": False}]}}, ["alert", "test"]),
        ({"FilterPolicy": {"kind": [{"anything-but": ["test"]}]}}, ["alert", "alert"]),
        # By the document, not by attributes.
        ({"FilterPolicyScope": "MessageBody", "FilterPolicy": {"severity": ["CRITICAL"]}}, ["alert"]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_subscription_chooses_by_attributes(policy, kinds, binary, emulator, topic, tmp_path):
    with inbox(emulator, topic, **policy) as chosen, inbox(emulator, topic) as all_messages:
        with function(binary, tmp_path, [TAKEN], **real_sns(emulator, topic)) as stub:
            for event in (ROOT_EVENT, LOW_EVENT, '{"test":{}}'):
                assert stub.invoke(event)[1]["mails"] == 1
        # The emulator fans out before it answers: when the last is in one queue, all are in the other.
        assert len(all_of(all_messages)) == 3
        found = all_of(chosen) if kinds else []
        assert chosen.take() is None
    found = [json.loads(each["Message"]) for each in found]
    assert sorted("test" if each.get("kind") == "test" else "alert" for each in found) == sorted(kinds)


def test_every_publish_has_its_attributes(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN], SETTINGS=f"PAGER_TOPIC_ARN={PAGER}") as stub:
        stub.invoke(ROOT_EVENT)
        mail, page = stub.published
    for published in (mail, page):
        attributes = {}
        for number in range(1, 10):
            entry = f"MessageAttributes.entry.{number}"
            if f"{entry}.Name" in published:
                value = published[f"{entry}.Value.StringValue"]
                attributes[published[f"{entry}.Name"]] = (published[f"{entry}.Value.DataType"], value)
        assert attributes == {
            "kind": ("String", "alert"),
            "severity": ("String", "CRITICAL"),
            "account": ("String.Array", '["111122223333"]'),
            "region": ("String.Array", '["us-east-1"]'),
            "rule": ("String.Array", '["root-usage"]'),
        }


def test_the_pager_gets_what_is_critical_as_json_and_nothing_else(binary, emulator, topic, pager, tmp_path):
    with inbox(emulator, pager) as pages, inbox(emulator, topic) as mails:
        variables = real_sns(emulator, topic, PAGER_TOPIC_ARN=pager)
        with function(binary, tmp_path, [TAKEN], **variables) as stub:
            for event, paged in ((ROOT_EVENT, 1), (LOW_EVENT, 0), ('{"test":{}}', 0)):
                report = stub.invoke(event)[1]
                assert (report["mails"], report["pages"], report["pager_failures"]) == (1, paged, 0)
        assert len(all_of(mails)) == 3
        (page,) = all_of(pages)

    document = json.loads(page["Message"])
    assert (document["schema"], document["severity"]) == ("root-usage-alert/1", "CRITICAL")
    assert page["Subject"] == document["subject"]
    # Not a form for each protocol, so whoever subscribes gets these too.
    assert page["MessageAttributes"]["severity"] == {"Type": "String", "Value": "CRITICAL"}


def test_a_pager_may_be_in_another_region_and_account(binary, tmp_path):
    with function(binary, tmp_path, [TAKEN], PAGER_TOPIC_ARN=PAGER) as stub:
        stub.invoke(ROOT_EVENT)
        mail, page = stub.published
        assert (mail["TopicArn"], page["TopicArn"]) == (ALERTS, PAGER)
        assert "MessageStructure" in mail and "MessageStructure" not in page
        # Whoever signs a request names the Region that it is for.
        regions = [scope.split("/")[2] for scope in stub.scopes]
        assert regions == [REGION, "us-west-2"]


@pytest.mark.parametrize(
    "answer, reason",
    [
        (refusal(404, "NotFound", "Topic does not exist"), "PAGER_TOPIC_ARN is not the ARN of a topic that SNS knows"),
        (refusal(403, "AuthorizationError"), "in another account that topic's policy must allow it too"),
        (refusal(400, "KMSAccessDenied"), "kms:GenerateDataKey* and kms:Decrypt"),
        (refusal(500, "InternalError"), "InternalError"),
    ],
    ids=["gone", "denied", "key", "fails"],
)
def test_a_pager_that_is_down_is_counted_and_the_mail_arrives(answer, reason, binary, tmp_path):
    with function(binary, tmp_path, [TAKEN, answer], PAGER_TOPIC_ARN=PAGER) as stub:
        kind, report = stub.invoke(ROOT_EVENT)

        assert kind == "response"
        assert (report["mails"], report["pages"], report["pager_failures"]) == (1, 0, 1)
        assert stub.published[0]["TopicArn"] == ALERTS
        lines = [json.loads(line) for line in stub.log().splitlines()]
        (failed,) = [line for line in lines if "the pager was not told" in line.get("fields", {}).get("message", "")]
        assert failed["level"] == "ERROR" and reason in json.dumps(failed), failed
        (closing,) = [line for line in lines if line.get("message") == "handled"]
        metrics = {metric["Name"] for metric in closing["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert closing["PagerFailures"] == 1 and "PagerFailures" in metrics
        # What was mailed is remembered: Lambda has nothing to try again.
        assert stub.invoke(ROOT_EVENT)[1]["duplicate"] == 2
