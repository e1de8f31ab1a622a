#!/usr/bin/env python3
"""Make the raw Lambda events of this directory from the sources beside it.

    events/generate.py              write events/NAME.json for every events/source/NAME.json, and the README's table
    events/generate.py --check      write nothing; exit 1 and name every file that is missing, extra or different
    events/generate.py --show NAME  print what the raw event NAME holds, for a reader

A raw event is what Lambda gets: {"awslogs": {"data": base64(gzip(JSON))}}. Nobody can review that, so a person edits
the source. It is one JSON object:

    describes            one sentence: what the event shows
    expect               how many log events the rule `root-usage` leaves ignored, matched, duplicate and unreadable;
                         written by hand, because a number computed here would prove nothing to the tests
    messageType          optional, DATA_MESSAGE unless it says otherwise
    owner, logGroup, logStream, subscriptionFilters    copied as they are
    deliveredAfter       optional, "5m" unless it says otherwise: from a record's eventTime to its log event's timestamp
    records              one item per log event, in the order of the batch:

        an object        a CloudTrail record, written as compact JSON, keys in the order of the source
        a string         a log message, taken as it is; its time is that of the record before it (see `started`)
        {"repeat": 40, "every": "7s", "record": {...}, "vary": [[{...}, {...}], [...]]}
                         40 records, 7 seconds apart, the first at the record's own eventTime. Copy number i gets, from
                         each list of `vary`, the entry number i modulo the list's length, merged over the record:
                         objects key by key, anything else replaced. eventID and requestID, where the record has them,
                         are new for each copy, and the same in every run.

    started              optional: the time of a message that has no record before it

Durations are a whole number and a unit: s, m, h or d.
"""

import argparse
import base64
import gzip
import hashlib
import json
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "source"
README = HERE / "README.md"
COUNTS = ("ignored", "matched", "duplicate", "unreadable")
# The deliveries of one story are one row.
STORIES = {
    "day-": "One day of one person with root, each event a delivery, in order: see below.",
    "incident-": "One incident, of an intruder, each event a delivery, in order: see below.",
}
TABLE_BEGIN, TABLE_END = "<!-- table: written by generate.py -->\n", "<!-- end of table -->\n"

Json = dict[str, Any]


def duration(text: str) -> timedelta:
    """Read a duration such as "7s" or "2d"."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[text[-1]]: int(text[:-1])})


def time(text: str) -> datetime:
    """Read a CloudTrail time: UTC, whole seconds, "Z" at the end."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def merged(base: Json, over: Json) -> Json:
    """Lay one object over another: objects key by key, anything else replaced."""
    both = dict(base)
    for key, value in over.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def copies(item: Json, seed: str) -> Iterator[Json]:
    """Expand a `repeat` item. `seed` makes the ids of its copies differ from every other item's."""
    first = time(item["record"]["eventTime"])
    for number in range(item["repeat"]):
        record = dict(item["record"])
        for variants in item.get("vary", []):
            record = merged(record, variants[number % len(variants)])
        record["eventTime"] = f"{first + number * duration(item['every']):%Y-%m-%dT%H:%M:%SZ}"
        for key in ("eventID", "requestID"):
            if key in record:
                record[key] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{seed}/{number}/{key}"))
        yield record


def items(name: str, source: Json) -> Iterator[Json | str]:
    """The records and messages of a source, `repeat` items expanded."""
    for index, item in enumerate(source["records"]):
        if isinstance(item, dict) and "repeat" in item:
            yield from copies(item, f"{name}/{index}")
        else:
            yield item


def log_event_id(timestamp: int, seed: str) -> str:
    """56 digits that sort by time, as CloudWatch's do: the timestamp in ms above 144 bits, here a hash of `seed`."""
    return str(timestamp << 144 | int.from_bytes(hashlib.sha256(seed.encode()).digest()[:18]))


def log_data(name: str, source: Json) -> Json:
    """What CloudWatch Logs sends for a source, before it is compressed."""
    message_type = source.get("messageType", "DATA_MESSAGE")
    delay = duration(source.get("deliveredAfter", "5m"))
    happened = time(source["started"]) if "started" in source else None
    log_events: list[Json] = []
    for item in items(name, source):
        if isinstance(item, dict):
            happened = time(item["eventTime"])
            item = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        if happened is None:
            raise ValueError(f"{name}: the first message has no time; set `started`")
        timestamp = int((happened + delay).timestamp()) * 1000
        # A control message's log event has an empty id.
        id = "" if message_type == "CONTROL_MESSAGE" else log_event_id(timestamp, f"{name}/{len(log_events)}")
        log_events.append({"id": id, "timestamp": timestamp, "message": item})
    copied = {key: source[key] for key in ("owner", "logGroup", "logStream", "subscriptionFilters")}
    return {"messageType": message_type, **copied, "logEvents": log_events}


def encode(data: Json) -> str:
    """The raw Lambda event for decoded log data."""
    packed = gzip.compress(json.dumps(data, separators=(",", ":")).encode(), mtime=0)
    return json.dumps({"awslogs": {"data": base64.b64encode(packed).decode()}}) + "\n"


def decode(raw: str) -> Json:
    """The log data in a raw Lambda event."""
    return json.loads(gzip.decompress(base64.b64decode(json.loads(raw)["awslogs"]["data"])))


def same(path: Path, data: Json) -> bool:
    """Whether a raw event holds `data`. Compressed bytes are not compared: they differ between zlib builds."""
    try:
        return decode(path.read_text()) == data
    except (OSError, ValueError, EOFError, LookupError, TypeError):
        return False


def row(names: list[str], shows: str, expects: list[Json]) -> str:
    """A row of the README's table: the first and the last of `names`, and the sums of what is expected."""
    numbers = [sum(expect[count] for expect in expects) for count in COUNTS]
    mail = "yes" if any(expect["matched"] + expect["unreadable"] for expect in expects) else "none"
    links = " … ".join(f"[{name}](source/{name}.json)" for name in dict.fromkeys((names[0], names[-1])))
    return "| " + " | ".join(map(str, (links, shows, sum(numbers), *numbers, mail))) + " |"


def table(sources: dict[str, Json]) -> str:
    """The README's table: one row per source, and one per story."""
    rows = ["| event | what it shows | log events | ignored | matched | duplicate | unreadable | mail |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    told: set[str] = set()
    for name, source in sources.items():
        begins = next((begins for begins in STORIES if name.startswith(begins)), None)
        if begins is None:
            rows.append(row([name], source["describes"], [source["expect"]]))
        elif begins not in told:
            told.add(begins)
            story = [each for each in sources if each.startswith(begins)]
            rows.append(row(story, STORIES[begins], [sources[each]["expect"] for each in story]))
    return "\n".join(rows) + "\n"


def readme_with(rows: str) -> str:
    """The README as it should be: its own text around a fresh table."""
    before, rest = README.read_text().split(TABLE_BEGIN)
    return before + TABLE_BEGIN + "\n" + rows + "\n" + TABLE_END + rest.split(TABLE_END)[1]


def main() -> int:
    """Generate, check or show; the exit code."""
    parser = argparse.ArgumentParser(description="Make the raw Lambda events from events/source.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything is not up to date")
    mode.add_argument("--show", metavar="NAME", help="print the decoded raw event NAME")
    arguments = parser.parse_args()

    if arguments.show:
        data = decode((HERE / f"{arguments.show}.json").read_text())
        for event in data["logEvents"]:
            try:
                event["message"] = json.loads(event["message"])
            except ValueError:
                pass  # A message that is no JSON is shown as the text it is.
        # Escaped, so that a hostile string cannot play tricks on the reader's terminal.
        print(json.dumps(data, indent=2))
        return 0

    sources = {path.stem: json.loads(path.read_text()) for path in sorted(SOURCES.glob("*.json"))}
    faults: list[str] = []
    for name, source in sources.items():
        data, path = log_data(name, source), HERE / f"{name}.json"
        expected, actual = sum(source["expect"][count] for count in COUNTS), len(data["logEvents"])
        if expected != actual:
            faults.append(f"source/{name}.json: `expect` adds up to {expected}, but it makes {actual} log events")
        if not same(path, data):
            if arguments.check:
                faults.append(f"{name}.json: missing, or not what source/{name}.json makes")
            else:
                path.write_text(encode(data))
    faults += [f"{path.name}: has no source" for path in sorted(HERE.glob("*.json")) if path.stem not in sources]
    readme = readme_with(table(sources))
    if readme != README.read_text():
        if arguments.check:
            faults.append("README.md: the table is not what the sources say")
        else:
            README.write_text(readme)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults and arguments.check:
        print("run events/generate.py, or correct the source", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
