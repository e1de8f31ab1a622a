"""The function's processes over one table: what is told, whatever goes wrong.

The table is the emulator's. FUNCTION_PROCESSES=17 runs as many as there are Regions, LEDGER_ROUNDS=30 kills them for
longer, and with LEDGER_STEP=1 each single call fails.
"""

import base64
import concurrent.futures
import gzip
import json
import os
import random
import threading
import time
import uuid

import pytest

from conftest import log_data, raw_event, shipped_event
from instances import world
from test_function import binary  # noqa: F401 (a fixture)

PROCESSES = int(os.environ.get("FUNCTION_PROCESSES", "4"))
ROUNDS = int(os.environ.get("LEDGER_ROUNDS", "3"))
# Of all calls of a story, from its first mail to its last, so many fail for each kind of fault, each beginning with another
# one. With LEDGER_STEP=1 each call of it fails in each way, and with 2 every second.
TRIED = 15
STEP = int(os.environ.get("LEDGER_STEP", "0"))


def record(event, service="iam", **more):
    """A record of root's, and its id."""
    (found,) = [json.loads(entry["message"]) for entry in log_data(shipped_event("create-access-key"))["logEvents"]][-1:]
    found |= {"eventID": str(uuid.uuid4()), "eventName": event, "eventSource": f"{service}.amazonaws.com"} | more
    return found


def delivery(*records):
    data = log_data(shipped_event("create-access-key"))
    data["logEvents"] = [
        {"id": str(number), "timestamp": int(time.time() * 1000), "message": json.dumps(one)}
        for number, one in enumerate(records)
    ]
    return json.dumps(raw_event(data))


def read(name="ListBuckets"):
    return record(name, "s3", readOnly=True, requestParameters=None, responseElements=None)


def grave():
    return record("CreateUser", requestParameters={"userName": f"u{random.random()}"}, responseElements=None)


def change():
    # Its first one is told at once, the others wait.
    return record("CreateTags", "ec2", requestParameters={"a": "b"}, responseElements=None)


@pytest.fixture
def run(binary, tmp_path, emulator):  # noqa: F811
    def make(count=1, skews=(), **variables):
        return world(binary, tmp_path, emulator, count, skews, **variables)

    return make


def test_an_incident_is_told_over_two_instances(run):
    with run(2) as made:
        first, second = made.instances
        records = [grave(), read(), read("ListKeys"), grave()]
        assert first.invoke(delivery(records[0]))[0] == "response"
        assert len(made.mails) == 1
        # A read waits, whichever instance it comes to, and comes again.
        waiting = delivery(records[1])
        for instance in (second, first, second):
            kind, report = instance.invoke(waiting)
            assert kind == "response" and report["waiting"] == 1, report
        made.ahead += 61
        assert second.invoke(delivery(records[2]))[0] == "response"
        assert len(made.mails) == 1
        # What is grave goes out at once, and takes along what waits.
        assert first.invoke(delivery(records[3]))[0] == "response"
        assert [made.told(one["eventID"]) for one in records] == [1, 1, 1, 1]
        tags = {mail.subject.rsplit("#", 1)[1] for mail in made.mails}
        assert len(made.mails) == 2 and len(tags) == 1
        made.settle()
        assert "QUIET" in made.mails[-1].subject and len(made.mails) == 3
        # Nothing is left but what finds duplicates and expires.
        assert all("expires" in item for item in made.items()), made.items()


def test_what_was_told_is_a_duplicate_on_every_instance(run):
    with run(2) as made:
        event = delivery(one := grave())
        for instance in (*made.instances, *made.instances):
            assert instance.invoke(event)[0] == "response"
        # The same record in another delivery, as CloudTrail sends it twice: it is reported.
        kind, report = made.instances[1].invoke(delivery(one, read()))
        assert (report["duplicate"], report["reported"]) == (1, 2), report
        # Who sends the function later what it mailed once keeps no alarm quiet by that.
        made.ahead += 16 * 60
        for instance in made.instances:
            kind, report = instance.invoke(event)
            assert (report["duplicate"], report["reported"], report["mails"]) == (1, 0, 0), report
        made.settle()
        assert made.told(one["eventID"]) == 1


def test_replayed_by_force_it_is_told_again(run):
    with run() as made:
        event = delivery(one := grave())
        made.instances[0].invoke(event)
        made.ahead += 61
        forced = json.dumps(json.loads(event) | {"force": "today"})
        kind, report = made.instances[0].invoke(forced)
        assert kind == "response" and report["matched"] == 1
        made.settle()
        assert made.told(one["eventID"]) == 2


def test_what_sns_did_not_take_is_stored_and_told_by_a_tick(run):
    with run(2) as made:
        event = delivery(one := grave())
        made.sns.fails = True
        assert made.instances[0].invoke(event)[0] == "error"
        # Lambda tries again: while somebody is at it, as far as the ledger knows, and later.
        kind, report = made.instances[1].invoke(event)
        assert (kind, report["waiting"], report["mails"]) == ("response", 1, 0)
        made.ahead += 61
        assert made.instances[1].invoke(event)[0] == "error"
        made.ahead += 61
        assert made.tick()[0] == "error"
        assert made.told(one["eventID"]) == 0
        made.sns.fails = False
        made.ahead += 61
        kind, report = made.tick(made.instances[1])
        assert (kind, made.told(one["eventID"])) == ("response", 1)
        # From the queue it comes once more.
        kind, report = made.instances[0].invoke(event)
        assert (kind, report["duplicate"], report["mails"]) == ("response", 1, 0)
        made.settle()
        assert made.told(one["eventID"]) == 1


def test_the_caller_of_a_central_session_is_named_whichever_came_first(run):
    events = {name: shipped_event(name) for name in ("central-root-session",)}
    entries = log_data(events["central-root-session"])["logEvents"]
    calls = [entry for entry in entries if json.loads(entry["message"])["eventName"] == "AssumeRoot"]
    assert calls
    theirs = [entry for entry in entries if entry not in calls]

    def batch(entries):
        return json.dumps(raw_event(log_data(events["central-root-session"]) | {"logEvents": entries}))

    caller = json.loads(calls[0]["message"])["userIdentity"]["arn"]
    with run(2) as made:
        assert made.instances[0].invoke(batch(calls))[0] == "response"
        assert not made.mails
        assert made.instances[1].invoke(batch(theirs))[0] == "response"
        assert caller.split("/")[1] in made.mails[0].text, made.mails[0].text


def test_a_part_that_cannot_be_read_is_told_and_blocks_nothing(run):
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        waits, broken, gone = read(), read("ListKeys"), read("ListUsers")
        for one in (waits, broken, gone):
            instance.invoke(delivery(one))
        parts = {}
        for item in made.items():
            if item["pk"]["S"].startswith("R#"):
                data = json.loads(gzip.decompress(base64.b64decode(json.loads(item["event"]["S"])["awslogs"]["data"])))
                parts[json.loads(data["logEvents"][0]["message"])["eventID"]] = item["pk"]["S"][2:]
        table = made.client
        # One of another version, one whose delivery is gone, and one that makes no sense at all.
        table.update_item(TableName=made.table, Key={"pk": {"S": "P"}, "sk": {"S": parts[broken["eventID"]]}},
                          UpdateExpression="SET whose = :w, due = :w REMOVE lease", ExpressionAttributeValues={":w": {"S": "later"}})
        table.delete_item(TableName=made.table, Key={"pk": {"S": f"R#{parts[gone['eventID']]}"}, "sk": {"S": "000"}})
        table.put_item(TableName=made.table, Item={"pk": {"S": "P"}, "sk": {"S": "nonsense"}})
        made.ahead += 61
        assert made.tick()[0] == "response"
        assert made.told(broken["eventID"]) == 1
        # It is told that there was something, and gone.
        assert not [item for item in made.parts() if item["sk"]["S"] == "nonsense"]
        made.ahead += 3700
        assert made.tick()[0] == "response"
        assert made.told(waits["eventID"]) == 1
        assert any("could not be read" in mail.text or "is gone" in mail.text for mail in made.mails)


ODD = {
    "no holder": ("REMOVE holder", {}),
    "a holder of another kind": ("SET holder = :v", {":v": {"N": "7"}}),
    "a holder in another form": ("SET holder = :v", {":v": {"S": "FF"}}),
    "no tries": ("REMOVE tries", {}),
    "tries of another kind": ("SET tries = :v", {":v": {"S": "two"}}),
    "a lease that is no whole number": ("SET lease = :v", {":v": {"N": "1.5"}}),
    "a lease beyond all time": ("SET lease = :v", {":v": {"N": "1e100"}}),
    "no number of pieces": ("REMOVE chunks", {}),
    "a number of pieces that is none": ("SET chunks = :v", {":v": {"S": "one"}}),
    "another version": ("SET version = :v", {":v": {"N": "2"}}),
    "no version": ("REMOVE version", {}),
}


@pytest.mark.parametrize("what", ODD)
def test_a_part_of_another_version_is_told_and_deleted(what, run):
    change, values = ODD[what]
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        instance.invoke(delivery(odd := read()))
        (part,) = made.parts()
        values = {"ExpressionAttributeValues": values} if values else {}
        names = {"ExpressionAttributeNames": {"#version": "version"}} if "version" in change else {}
        made.client.update_item(TableName=made.table, Key={"pk": part["pk"], "sk": part["sk"]},
                                UpdateExpression=change.replace("version", "#version", 1), **values, **names)
        made.ahead += 3700
        assert made.tick()[0] == "response"
        assert made.told(odd["eventID"]) == 1
        assert part["sk"] not in [left["sk"] for left in made.parts()]
        assert not [item for item in made.items() if item["pk"]["S"].startswith("R#")]
        # What begins another incident leaves the last mail of the one before.
        made.settle()
        assert made.told(odd["eventID"]) == 1
        assert not made.parts(), made.parts()


def test_an_incident_of_another_version_is_replaced(run):
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        (current,) = [item for item in made.items() if item["pk"]["S"] == "C"]
        made.client.update_item(TableName=made.table, Key={"pk": current["pk"], "sk": current["sk"]},
                                UpdateExpression="SET latest = :v", ExpressionAttributeValues={":v": {"S": "late"}})
        made.ahead += 61
        instance.invoke(delivery(read()))
        # The first mail of the incident in its place; what comes then belongs to it, and waits.
        assert len(made.mails) == 2
        made.ahead += 61
        kind, report = instance.invoke(delivery(read("ListKeys")))
        assert (report["waiting"], len(made.mails)) == (1, 2)
        made.settle()


def test_a_story_of_any_length_is_closed(run):
    """Thirty mails that tell as much as one can, and a table that takes its time."""
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        (current,) = [item for item in made.items() if item["pk"]["S"] == "C"]
        (line,) = [item for item in made.items() if item["sk"]["S"].startswith("S#")]
        told = json.loads(line["told"]["S"]) | {"digest": ["2026-11-20 02:48:00 " + "x" * 1000] * 280}
        for number in range(30):
            sk = line["sk"]["S"][:-2] + f"{number:02d}"
            made.client.put_item(TableName=made.table, Item=line | {"sk": {"S": sk}, "told": {"S": json.dumps(told)}})
        made.client.update_item(TableName=made.table, Key={"pk": line["pk"], "sk": {"S": "M"}},
                                UpdateExpression="ADD lines_told :n", ExpressionAttributeValues={":n": {"N": str(30 * 280)}})
        instance.invoke(delivery(read()))
        made.dynamodb.slow = 0.1
        made.ahead += 3700
        assert made.tick()[0] == "response"
        assert "QUIET" in made.mails[-1].subject, [mail.subject for mail in made.mails]
        closed = json.loads(made.mails[-1].document)
        assert closed["linesLeftOut"] + len(closed["story"]) >= 30 * 280
        made.dynamodb.slow = 0
        made.settle()


def test_what_is_open_can_be_asked_for(run):
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        instance.invoke(delivery(read()))
        kind, report = instance.invoke('{"incidents":{}}')
        (open_,) = report["incidents"]
        assert (open_["mails"], open_["waiting"]) == (1, 1)
        assert open_["who"].startswith("root/") and open_["until"] > open_["opened"]


def test_switched_off_it_tells_what_is_stored_and_each_delivery_at_once(run, binary, tmp_path, emulator):  # noqa: F811
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        instance.invoke(delivery(stored := read()))
        assert made.told(stored["eventID"]) == 0
        made.variables["QUIET_MINUTES"] = "0"
        instance.kill()
        instance.start()
        made.ahead += 1
        made.tick()
        assert made.told(stored["eventID"]) == 1
        instance.invoke(delivery(later := read()))
        assert made.told(later["eventID"]) == 1
        assert not [item for item in made.items() if item["pk"]["S"] in ("P", "C")]


def test_asked_for_all_it_tells_all_that_is_stored(run):
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        instance.invoke(delivery(stored := read()))
        made.tick(all=True)
        assert made.told(stored["eventID"]) == 1
        assert not [item for item in made.items() if item["pk"]["S"] in ("P", "C")]


def test_asked_for_all_it_asks_a_ledger_that_failed_a_moment_ago(run):
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        instance.invoke(delivery(stored := read()))
        made.dynamodb.fault = lambda number, operation: "fails before"
        made.ahead += 61
        kind, report = instance.invoke(delivery(alone := grave()))
        assert kind == "response" and report["ledger_failures"] >= 1, report
        assert made.told(alone["eventID"]) == 1 and made.told(stored["eventID"]) == 0
        made.dynamodb.fault = lambda number, operation: None
        made.tick(all=True)
        assert made.told(stored["eventID"]) == 1


def test_a_delivery_that_takes_long_to_read_again_is_told(run):
    """A megabyte of reads beside a change: it waits, because its incident's minute is spent."""
    with run() as made:
        (instance,) = made.instances
        instance.invoke(delivery(grave()))
        many = [read(f"List{number % 50}") for number in range(12_000)]
        kind, report = instance.invoke(delivery(*many, waits := grave()))
        assert kind == "response" and report["waiting"] > 12_000, report
        made.ahead += 130
        assert made.tick()[0] == "response"
        assert made.told(waits["eventID"]) == 1
        made.settle()


def test_names_of_any_length_are_told_once(run):
    def bucket():
        return record("CreateBucket", "s3", requestParameters={"bucketName": str(random.random()) * 12_000}, responseElements=None)

    with run() as made:
        made.instances[0].invoke(delivery(first := bucket(), second := bucket()))
        for _ in range(5):
            made.ahead += 61
            made.tick()
        assert [made.told(one["eventID"]) for one in (first, second)] == [1, 1]
        made.settle()


def test_a_call_that_comes_twice_in_a_batch_is_remembered(run):
    entries = log_data(shipped_event("central-root-session"))["logEvents"]
    calls = [entry for entry in entries if json.loads(entry["message"])["eventName"] == "AssumeRoot"]
    batch = json.dumps(raw_event(log_data(shipped_event("central-root-session")) | {"logEvents": calls * 2}))
    with run() as made:
        kind, report = made.instances[0].invoke(batch)
        assert report["ledger_failures"] == 0
        assert any(item["pk"]["S"].startswith("A#") for item in made.items())


FAULTS = ["fails before", "fails after", "throttles", "stalls"]


@pytest.mark.parametrize("fault", FAULTS)
def test_whichever_call_fails_nothing_is_lost(fault, run, table):
    """Each call of an incident in turn, and all after it for that invocation."""
    with run() as made:
        (instance,) = made.instances

        def story():
            records = [grave(), read(), grave(), change(), change()]
            return records, [delivery(one) for one in records]

        def play(events):
            for event in events:
                began = time.monotonic()
                assert made.deliver(instance, event)
                took.append(time.monotonic() - began)
                made.ahead += 70
            made.settle()

        took = []
        begin = len(made.dynamodb.calls)
        records, events = story()
        play(events)
        count = len(made.dynamodb.calls) - begin
        assert [made.told(one["eventID"]) for one in records] == [1] * 5
        # What is due, the last mail and the story it tells come last.
        step = STEP or max(1, count // TRIED)
        tried = range(step * FAULTS.index(fault) // len(FAULTS), count, step)
        assert {"Query", "UpdateItem", "TransactWriteItems"} <= set(made.dynamodb.calls[begin:])
        for at in tried:
            records, events = story()
            begin = next(made.dynamodb.numbers)
            made.dynamodb.fault = lambda number, operation: fault if begin + at <= number - 1 < begin + at + 4 else None
            play(events)
            made.dynamodb.fault = lambda number, operation: None
            told = [made.told(one["eventID"]) for one in records]
            assert all(1 <= times <= 2 for times in told), (at, told, made.dynamodb.calls[begin:])
        # 1.5 s for what is kept, as much for saying that it was told, and the same for what is due.
        assert max(took) < 10, took
        table("the ledger, each call failing in turn", f"{fault}: {len(tried)} of {count} calls, longest delivery {max(took):.1f} s")


def test_instances_that_are_killed_and_stopped_lose_nothing(run, table):
    with run(PROCESSES, skews=[0, 10, -10, 5]) as made:
        dice = random.Random(20)
        counts = {1: 0, 2: 0, 3: 0}
        killed = stopped = 0
        for _ in range(ROUNDS):
            records = [dice.choice([grave, read, change])() for _ in range(4 * PROCESSES)]
            events = [delivery(one) for one in records]
            work = [(event, index % PROCESSES) for index, event in enumerate(events)]
            # Some come again, to another instance, at the same time.
            work += [(event, (index + 1) % PROCESSES) for index, event in enumerate(events) if dice.random() < 0.3]
            queues = [[event for event, which in work if which == number] for number in range(PROCESSES)]

            def serve(number):
                instance = made.instances[number]
                for event in queues[number]:
                    assert made.deliver(instance, event)
                    instance.invoke('{"tick":{}}') if instance.process.poll() is None else None

            done = threading.Event()

            def harm():
                nonlocal killed, stopped
                while not done.wait(dice.random() * 0.2):
                    instance = dice.choice(made.instances)
                    if dice.random() < 0.5:
                        killed += 1
                        instance.process.kill()
                    else:
                        stopped += 1
                        try:
                            instance.stop(0.3)
                        except ProcessLookupError:
                            pass

            harming = threading.Thread(target=harm)
            harming.start()
            with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
                list(pool.map(serve, range(PROCESSES)))
            done.set()
            harming.join()
            for instance in made.instances:
                if instance.process.poll() is not None:
                    instance.kill()
                    instance.start()
            made.settle()
            for one in records:
                times = made.told(one["eventID"])
                assert times >= 1, f"{one['eventName']} {one['eventID']} is told nowhere"
                counts[min(times, 3)] += 1
        table("the ledger, processes killed and stopped",
              f"{PROCESSES} processes, {killed} killed, {stopped} stopped: {counts[1]} records told once, "
              f"{counts[2]} twice, {counts[3]} more often; {len(made.mails)} mails")


def test_without_a_fault_nothing_is_told_twice(run, table):
    with run(PROCESSES, skews=[0, 12, -12, 6]) as made:
        records = [[grave, read, change][number % 3]() for number in range(6 * PROCESSES)]
        events = [delivery(one) for one in records]
        with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
            def serve(number):
                instance = made.instances[number]
                for event in events[number::PROCESSES] + events[(number + 1) % PROCESSES::PROCESSES]:
                    assert made.deliver(instance, event, tries=1)
                    made.tick(instance)
            list(pool.map(serve, range(PROCESSES)))
        made.settle()
        told = [made.told(one["eventID"]) for one in records]
        assert set(told) == {1}, told
        table("the ledger, no fault", f"{PROCESSES} processes, {len(events)} deliveries, each twice: {len(made.mails)} mails")


def test_a_first_mail_waits_for_two_answers_and_no_more(run, table):
    with run() as made:
        (instance,) = made.instances
        # Warm: the client is made.
        instance.invoke(delivery(read()))
        slow = 0.3
        made.dynamodb.slow = slow
        # Another account's: a new incident.
        made.ahead += 61
        other = grave() | {"recipientAccountId": "444455556666"}
        other["userIdentity"] = other["userIdentity"] | {"accountId": "444455556666", "arn": "arn:aws:iam::444455556666:root"}
        began = time.monotonic()
        before = len(made.mails)
        assert instance.invoke(delivery(other))[0] == "response"
        waited = made.sns.times[before] - began
        assert 2 * slow <= waited < 3 * slow, waited
        table("the ledger, round trips", f"a first mail waits {waited / slow:.1f} times as long as DynamoDB takes to answer")


def test_clocks_two_minutes_apart_lose_nothing(run):
    with run(2, skews=[0, 120]) as made:
        records = [grave(), read(), change(), change(), grave()]
        for number, one in enumerate(records):
            event = delivery(one)
            assert made.deliver(made.instances[number % 2], event)
            assert made.deliver(made.instances[(number + 1) % 2], event)
            made.tick(made.instances[1])
            made.ahead += 20
        made.settle()
        assert all(1 <= made.told(one["eventID"]) <= 2 for one in records)
