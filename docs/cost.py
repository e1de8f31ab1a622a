#!/usr/bin/env python3
"""Work out what a month costs, and write it into docs/cost.md and both READMEs. `make cost` runs it.

    cost.py           write the tables of these pages
    cost.py --check   write nothing; exit 1 if they say something else

How many alarms a stack has is counted in the expanded template, so it needs what tests/template needs.
"""

import argparse
import functools
import math
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "template"))
from expansion import expand  # noqa: E402

PAGES = [HERE / "cost.md", HERE.parent / "README.md", HERE.parent / "README.ja.md"]
FEW = {"Alarms": "few", "Settings": "METRICS=off"}
PAGER = "PAGER_TOPIC_ARN=arn:aws:sns:us-west-2:444455556666:pager"

# USD, US East (N. Virginia), without any free tier. Nothing fetches them: whoever changes one looks it up
# on the service's price page and changes the date.
PRICES_OF = "November 2025"
PRICES = {
    "alarm": (0.10, "a metric that an alarm reads, a month", "CloudWatch"),
    "composite": (0.50, "a composite alarm, a month", "CloudWatch"),
    "metric": (0.30, "a custom metric, a month, by the hour", "CloudWatch"),
    "ingest": (0.50, "a GB into a log group", "CloudWatch Logs"),
    "archive": (0.03, "a GB in a log group, compressed, a month", "CloudWatch Logs"),
    "request": (0.20 / 1e6, "an invocation", "Lambda"),
    "gb_second": (0.0000166667, "a GB-second, x86_64", "Lambda"),
    # As a custom event, on the high side: what AWS's own services send is free.
    "schedule": (1.00 / 1e6, "a scheduled event", "EventBridge"),
    "write": (0.625 / 1e6, "a write unit, on demand", "DynamoDB"),
    "read": (0.125 / 1e6, "a read unit, on demand", "DynamoDB"),
    "publish": (0.50 / 1e6, "a message", "SNS"),
    "mail": (2.00 / 1e5, "an e-mail", "SNS"),
    "key": (1.00, "a key, a month", "KMS"),
    "key_request": (0.03 / 1e4, "a request", "KMS"),
    "put": (0.005 / 1e3, "a file written", "S3"),
    "stored": (0.023, "a GB, a month", "S3"),
}
HOURS = 730
SECONDS = HOURS * 3600
GB = 1e9

# What the function does.
METRICS_OF_THE_FUNCTION = 9  # five more have data only while something is wrong
# AWS Lambda Developer Guide, "Configure Lambda function memory": with this many MB a function has one whole vCPU, with
# fewer a part of it. It has one thread that works, so more bring it nothing.
WHOLE_CPU_MB = 1769
# Of an invocation, seconds of waiting, which memory does not change, and seconds of a whole vCPU: the figures of
# docs/performance.md, and as much again. The REPORT lines of the function's log have yours.
ALERT = (1.0, 0.030)  # the first of an instance, with its look-ups; it waits for CloudTrail most of the time
HEARTBEAT = (0.4, 0.020)
TICK = (0.004, 0.00025)  # that finds nothing due: two queries
SCAN = (0.0, 0.002)  # a batch of 1,000 records in which nothing matches
LARGEST = (0.0, 1.0)  # the most that an event of 1 MB may take
LOG_BYTES = 2000  # an invocation's lines in the function's log, Lambda's own included
TICK_LOG_BYTES = 900  # Lambda's own; the function writes nothing where nothing is due
RECORD_BYTES = 1800  # a CloudTrail record
COMPRESSED = 0.1  # what becomes of a record in an archive or a bucket
RECORDS_A_BATCH = 1000
TICKS = SECONDS // 60
# What the ledger is asked. A query that finds nothing costs a read unit, if it has to see the newest writes.
TICK_READS = 2
ALERT_WRITES = 12 + 31  # a delivery of 2 kB that is stored; its incident, what is new in it, that it was told, and how much was
# Mails of an incident after the first: an update or the closing mail, in an hour of its own.
FOLLOWING = 1
# Whether the heartbeat's invocation publishes the function's metrics too. A metric is billed for each hour
# in which it has data, so this is the difference between all hours of the month and a few.
HEARTBEAT_PUBLISHES = False

SMALL = {"records": 100_000, "mails": 5}
LARGE = {"records": 1000 * SECONDS, "mails": 100}


def price(name):
    return PRICES[name][0]


def alarms(**parameters):
    """How many metrics the alarms of a stack read, and how many alarms are composite."""
    resources = expand(**parameters)["Resources"].values()
    read = [one["Properties"] for one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]
    metrics = sum(len([each for each in one.get("Metrics", [one]) if "Expression" not in each]) for one in read)
    return metrics, len([one for one in resources if one["Type"] == "AWS::CloudWatch::CompositeAlarm"])


@functools.cache
def memory_size():
    """What the template gives the function, in MB."""
    return expand()["Resources"]["AlertFunction"]["Properties"]["MemorySize"]


def duration(work, memory=None):
    """What Lambda bills for an invocation, in seconds: whole milliseconds."""
    waiting, cpu = work
    return math.ceil((waiting + cpu * WHOLE_CPU_MB / min(memory or memory_size(), WHOLE_CPU_MB)) * 1000) / 1000


def invocations(count, work, memory=None):
    memory = memory or memory_size()
    return count * (price("request") + duration(work, memory) * memory / 1024 * price("gb_second"))


def log_cost(size):
    """A GB kept for a year, in the month in which it comes."""
    return size / GB * (price("ingest") + 12 * COMPRESSED * price("archive"))


def stack(load, sees_all=False, memory=None, **parameters):
    """The rows of one stack's bill: what, how it was worked out, USD."""
    memory = memory or memory_size()
    metrics, composite = alarms(**parameters)
    mails = load["mails"]
    rows = [("alarms", f"{metrics} × {price('alarm'):.2f}", metrics * price("alarm"))]
    if composite:
        rows.append(("composite alarm", f"{composite} × {price('composite'):.2f}", composite * price("composite")))
    if "METRICS=off" not in parameters.get("Settings", ""):
        hours = HOURS if HEARTBEAT_PUBLISHES or sees_all else min(HOURS, mails * (1 + FOLLOWING))
        cost = METRICS_OF_THE_FUNCTION * price("metric") * hours / HOURS
        arithmetic = f"{METRICS_OF_THE_FUNCTION} × {price('metric'):.2f} × {hours} of {HOURS} h"
        rows.append(("the function's metrics", arithmetic, cost))
    cost = mails * price("metric") / HOURS
    rows.append(("the recipe's metric", f"{mails} of {HOURS} h × {price('metric'):.2f}", cost))
    cost = invocations(HOURS, HEARTBEAT, memory) + HOURS * price("schedule")
    rows.append(("heartbeat", f"{HOURS} × {duration(HEARTBEAT, memory)} s at {memory} MB", cost))
    cost = total(incidents(load, memory))
    rows.append(("ticks and table of the incidents", f"{TICKS:,} ticks, {mails} × {ALERT_WRITES} write units", cost))
    runs = HOURS + mails * (1 + FOLLOWING)
    if sees_all:
        batches = load["records"] / RECORDS_A_BATCH
        runs += batches
        # Each invocation looks whether something is due, as a tick does.
        work = (SCAN[0] + TICK[0], SCAN[1] + TICK[1])
        arithmetic = f"{batches:,.0f} × {duration(work, memory)} s at {memory} MB, {TICK_READS} reads each"
        cost = invocations(batches, work, memory) + batches * TICK_READS * price("read")
        rows.append((f"every record read, {RECORDS_A_BATCH:,} a batch", arithmetic, cost))
    each = 2 + FOLLOWING
    cost = invocations(mails * (1 + FOLLOWING), ALERT, memory) + mails * each * (price("publish") + price("mail"))
    rows.append(("alerts, with the recipe's mail", f"{mails} × {each} mails", cost))
    rows.append(("the function's log", f"{runs:,.0f} × {LOG_BYTES / 1000:.0f} kB, kept a year", log_cost(runs * LOG_BYTES)))
    return rows


def incidents(load, memory=None):
    """What it costs that incidents are told: a tick each minute, and the table. Its alarms are among the alarms."""
    memory = memory or memory_size()
    rows = [
        ("ticks", f"{TICKS:,} × {duration(TICK, memory)} s at {memory} MB", invocations(TICKS, TICK, memory)),
        ("their schedule", f"{TICKS:,} × {price('schedule') * 1e6:.2f} a million", TICKS * price("schedule")),
        (
            "their reads of the table",
            f"{TICKS:,} × {TICK_READS} × {price('read') * 1e6:.3f} a million",
            TICKS * TICK_READS * price("read"),
        ),
        (
            "their lines in the function's log",
            f"{TICKS:,} × {TICK_LOG_BYTES / 1000:.1f} kB, kept a year",
            log_cost(TICKS * TICK_LOG_BYTES),
        ),
    ]
    if load["mails"]:
        cost = load["mails"] * ALERT_WRITES * price("write")
        arithmetic = f"{load['mails']} × {ALERT_WRITES} × {price('write') * 1e6:.3f} a million"
        rows.append(("writes of the table", arithmetic, cost))
    return rows


def idle():
    """What incidents cost where nothing happens, and what watches them."""
    rows = incidents({"mails": 0})
    watching = ("OverdueAlarm", "TickAlarm", "LedgerAlarm")
    count = len([name for name in watching if name in expand()["Resources"]])
    share = f"| the alarms on them, in addition | {count} × {price('alarm'):.2f} | {count * price('alarm'):.2f} |"
    return "\n".join([bill(rows, ".3f"), share])


def trail(load, regions=2):
    """What a trail costs, whoever made it."""
    size = load["records"] * RECORD_BYTES
    files = HOURS * (12 * regions + 17)
    rows = [
        ("records into the log group", f"{size / GB:,.2f} GB × {price('ingest'):.2f}", size / GB * price("ingest")),
        (
            "kept there a year",
            f"{size / GB:,.2f} GB × {COMPRESSED} × 12 × {price('archive'):.2f}",
            size / GB * COMPRESSED * 12 * price("archive"),
        ),
        (
            "files into the bucket",
            f"{files:,} × {price('put') * 1000:.3f} a thousand",
            files * price("put"),
        ),
        (
            "kept there, each year of records",
            f"{size / GB:,.2f} GB × {COMPRESSED} × 12 × {price('stored'):.3f}",
            size / GB * COMPRESSED * 12 * price("stored"),
        ),
    ]
    return rows


def usd(cost, form=",.2f"):
    # With three digits nothing here is too small to show.
    return f"{cost:{form}}" if abs(cost) >= 0.005 or form == ".3f" else "under 0.01"


def bill(rows, form=",.2f"):
    lines = ["| what | arithmetic | USD |", "| --- | --- | ---: |"]
    lines += [f"| {what} | {arithmetic} | {usd(cost, form)} |" for what, arithmetic, cost in rows]
    lines.append(f"| **together** | | **{sum(cost for _, _, cost in rows):{form}}** |")
    return "\n".join(lines)


def total(rows):
    return sum(cost for _, _, cost in rows)


def options():
    """What each choice adds to a month of the small account."""
    default = total(stack(SMALL))

    def more(rows):
        return usd(total(rows) - default, "+.2f")

    key = price("key") + 2 * SMALL["mails"] * price("key_request")
    return "\n".join(
        [
            "| choice | USD a month |",
            "| --- | ---: |",
            f"| the default stack | {default:.2f} |",
            f"| `Alarms=most` | {more(stack(SMALL, Alarms='most'))} |",
            f"| `Alarms=few` | {more(stack(SMALL, Alarms='few'))} |",
            f"| `Settings=METRICS=off`, which takes the alarms on the function's metrics with it "
            f"| {more(stack(SMALL, Settings='METRICS=off'))} |",
            f"| `Alarms=few` and `Settings=METRICS=off` | {more(stack(SMALL, **FEW))} |",
            f"| `AlertKey=create` | {usd(key, '+.2f')} |",
            f"| `Settings=PAGER_TOPIC_ARN=…`, the alarm on it | {more(stack(SMALL, Settings=PAGER))} |",
            f"| `Rules=root-usage,cis` | {more(stack(SMALL, sees_all=True))} |",
            f"| `CreateTrail=true` | {usd(total(trail(SMALL)), '+.2f')} |",
        ]
    )


def memory():
    """What other memory would cost, and what it would gain."""
    lines = [
        "| memory | a mail's wait for the function, waiting for AWS not counted | the largest event "
        "| the small account, USD | 1,000 records a second, all read, USD |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in (128, 256, memory_size(), 1024, WHOLE_CPU_MB):
        mail, largest = (duration((0.0, work[1]), size) for work in (ALERT, LARGEST))
        small, large = total(stack(SMALL, memory=size)), total(stack(LARGE, sees_all=True, memory=size))
        mark = "**" if size == memory_size() else ""
        lines.append(f"| {mark}{size:,} MB{mark} | {mail:.2f} s | {largest:.1f} s | {small:.3f} | {large:.2f} |")
    return "\n".join(lines)


# The texts of the READMEs' table: its header, then its rows.
SUMMARY = [
    "USD a month | 100,000 records a month | 1,000 records a second",
    "the default: everything watched",
    "`Alarms=few`, `Settings=METRICS=off`",
    "the default with `Rules=root-usage,cis`",
    "`AlertKey=create`, in addition",
    "the trail's log group and bucket, yours or the stack's",
]
SUMMARY_JA = [
    "月額（USD） | レコード 10 万件/月 | レコード 1,000 件/秒",
    "デフォルト（すべてのアラームを使用）",
    "`Alarms=few`、`Settings=METRICS=off`",
    "デフォルトに `Rules=root-usage,cis` を追加",
    "`AlertKey=create`（追加分）",
    "証跡のロググループとバケット（既存またはスタックで作成）",
]


def summary(texts):
    header, *rows = texts
    costs = [
        [total(stack(load)) for load in (SMALL, LARGE)],
        [total(stack(load, **FEW)) for load in (SMALL, LARGE)],
        [total(stack(load, sees_all=True)) for load in (SMALL, LARGE)],
        [price("key")] * 2,
        [total(trail(SMALL)), total(trail(LARGE, 17))],
    ]
    lines = [f"| {header} |", "| --- | ---: | ---: |"]
    lines += [f"| {what} | {usd(small)} | {usd(large)} |" for what, (small, large) in zip(rows, costs, strict=True)]
    return "\n".join(lines)


def prices():
    lines = ["| service | what | USD |", "| --- | --- | ---: |"]
    for cost, what, service in PRICES.values():
        lines.append(f"| {service} | {what} | {f'{cost:.10f}'.rstrip('0').rstrip('.')} |")
    return "\n".join(lines)


def tables():
    return {
        "small": bill(stack(SMALL, **FEW)),
        "small-with-trail": bill(stack(SMALL, **FEW) + trail(SMALL)),
        "default": bill(stack(SMALL)),
        "incidents": idle(),
        "large": bill(stack(LARGE)),
        "large-all": bill(stack(LARGE, sees_all=True)),
        "large-trail": bill(trail(LARGE, regions=17)),
        "options": options(),
        "memory": memory(),
        "summary": summary(SUMMARY),
        "summary-ja": summary(SUMMARY_JA),
        "prices": f"Prices of {PRICES_OF}, US East (N. Virginia).\n\n{prices()}",
    }


def with_tables(text, made):
    """The page with every table as it is now."""
    return re.sub(
        r"(<!-- cost:(\S+) -->\n).*?(<!-- /cost -->)",
        lambda found: f"{found[1]}\n{made[found[2]]}\n\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def main():
    parser = argparse.ArgumentParser(description="Work out what a month costs, for docs/cost.md and the READMEs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they say something else")
    arguments = parser.parse_args()

    made = tables()
    texts = {page: page.read_text() for page in PAGES}
    named = re.findall(r"<!-- cost:(\S+) -->", "".join(texts.values()))
    if sorted(named) != sorted(made):
        raise ValueError(f"the pages have the tables {named}, and these are made: {list(made)}")
    if arguments.check:
        for page, text in texts.items():
            if with_tables(text, made) != text:
                print(f"{page.name} does not say what docs/cost.py works out; run `make cost`", file=sys.stderr)
                return 1
        # What docs/cost.md promises in words.
        if total(stack(SMALL, **FEW) + trail(SMALL)) >= 1:
            print("the small account no longer stays under 1 USD a month", file=sys.stderr)
            return 1
        if total(incidents({"mails": 0})) >= 0.10:
            print("incidents no longer cost under 0.10 USD a month where nothing happens", file=sys.stderr)
            return 1
        return 0
    for page, text in texts.items():
        page.write_text(with_tables(text, made))
    for name, table in made.items():
        print(f"{name}\n\n{table}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
