"""The day of one person with root, events/day-*.json, over the deployed stack's table and topic.

The stack is deployed as it ships. Several processes of the function take its deliveries in turn, each at the time when it
came, with a tick each minute as EventBridge sends it.
"""

import concurrent.futures
import itertools
import json
import os
import time

from conftest import EVENTS, log_data
from instances import world
from test_deployed import TRAIL_LOG_GROUP, Inbox, recipe, sam, trail  # noqa: F401 (fixtures)
from test_function import binary  # noqa: F401 (a fixture)

NAME = "day"
PROCESSES = int(os.environ.get("FUNCTION_PROCESSES", "4"))
MINUTE = 60
# What the goal of all this is: one mail for each delivery would be 38.
MAILS_MAX = 20
# What changes who can do what, what is recorded, or what can be recovered: CRITICAL when it succeeds.
GRAVE = {
    "AttachRolePolicy", "PutBucketPolicy", "PutBucketPublicAccessBlock", "PutBucketVersioning", "PutEventSelectors", "UpdateTrail",
}


class Delivery:
    def __init__(self, path):
        self.event = path.read_text()
        log_events = log_data(json.loads(self.event))["logEvents"]
        self.arrives = max(log_event["timestamp"] for log_event in log_events) / 1000
        records = [json.loads(log_event["message"]) for log_event in log_events]
        self.records = {one["eventID"]: one for one in records if "invokedBy" not in one["userIdentity"]}


def ids(document):
    """Every event id that a document names, once."""
    found = set()
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "eventIds":
                found |= set(value)
            elif name == "eventId" and value:
                found.add(value)
            else:
                found |= ids(value)
    elif isinstance(document, list):
        for value in document:
            found |= ids(value)
    return found


def turns(deliveries):
    """The deliveries in their order, two together where they came within a minute."""
    waiting = list(deliveries)
    while waiting:
        count = 2 if len(waiting) > 1 and waiting[1].arrives - waiting[0].arrives < MINUTE else 1
        yield waiting[:count]
        waiting = waiting[count:]


def test_the_day_is_told_in_few_mails_once_and_what_is_grave_within_a_minute(
    sam, trail, emulator, binary, tmp_path, table  # noqa: F811
):
    began = time.monotonic()
    deliveries = [Delivery(path) for path in sorted(EVENTS.glob("day-*.json"))]
    records = {key: one for delivery in deliveries for key, one in delivery.records.items()}
    assert (len(deliveries), len(records)) == (38, 727)
    parameters = {"NotificationEmail": "", "CloudTrailLogGroupName": TRAIL_LOG_GROUP, "Recipe": recipe(NAME)}
    with sam.deployed(NAME, **parameters) as stack:
        inbox = Inbox(emulator, stack.topic, "inbox-day")
        configured = emulator.client("lambda").get_function_configuration(FunctionName=stack.function)
        variables = configured["Environment"]["Variables"] | {"AWS_ENDPOINT_URL_SNS": emulator.url}
        # The stack's own ticks come with another time.
        with stack.without_ticks(), world(binary, tmp_path, emulator, PROCESSES, **variables) as made:
            mails, came, instances = [], {}, itertools.cycle(made.instances)

            def now():
                return time.time() + made.ahead

            def at(moment):
                """Lets it be that time, or whatever it is if that is over."""
                made.ahead = max(made.ahead, moment - time.time())

            def take():
                mails.extend((now(), mail) for mail in iter(inbox.take, None))

            def tick():
                kind, report = made.tick(next(instances))
                assert kind == "response", report
                take()

            def wait_until(moment):
                """The minutes up to then, as long as there is anything to tell in them."""
                while made.kept("P", "C"):
                    minute = (now() // MINUTE + 1) * MINUTE
                    if minute >= moment:
                        break
                    at(minute)
                    tick()

            made.ahead = deliveries[0].arrives - time.time()
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for together in turns(deliveries):
                    wait_until(together[-1].arrives)
                    at(together[-1].arrives)
                    for delivery in together:
                        came |= dict.fromkeys(delivery.records, now())
                    work = [(next(instances), delivery.event) for delivery in together]
                    assert all(pool.map(lambda one: made.deliver(*one, tries=1), work))
                    take()
            wait_until(float("inf"))

            documents = [(moment, json.loads(mail["Message"])) for moment, mail in mails]
            told = {key: [moment for moment, document in documents if key in ids(document)] for key in records}
            assert [key for key, times in told.items() if len(times) != 1] == []
            assert {key for _, document in documents for key in ids(document)} == set(records)
            # What finds duplicates later is what was told.
            assert sum(item["pk"]["S"].startswith("K#") for item in made.items()) == len(records)
        assert inbox.take() is None

    grave = {key for key, one in records.items() if one["eventName"] in GRAVE and "errorCode" not in one}
    worst = [document["actors"][0]["gravest"] for _, document in documents if document.get("severity") == "CRITICAL"]
    assert worst and {one["eventId"] for one in worst} <= grave
    waited = {key: told[key][0] - came[key] for key in grave}
    assert max(waited.values()) <= MINUTE, waited
    incidents = {document["incident"]["id"] for _, document in documents}
    longest = max(times[0] - came[key] for key, times in told.items())
    table(
        "the day, in the deployed stack",
        f"{PROCESSES} processes, {len(deliveries)} deliveries, {len(records)} records: {len(mails)} mails of {len(incidents)} incidents;"
        f" {len(grave)} grave records after {max(waited.values()):.0f} s at most, the others after {longest / MINUTE:.0f} min;"
        f" {time.monotonic() - began:.0f} s",
    )
    assert len(mails) <= MAILS_MAX
