#!/usr/bin/env python3
"""Ask the deployed function which incidents are open, and what waits for a mail.

    incidents.py STACK

The table's own policy lets nobody but the function read it. Exit code 1 if the function failed, 2 if AWS refused what is
needed: cloudformation:DescribeStacks, lambda:InvokeFunction.
"""

import argparse
import sys

from stack import Stack, one_line_errors, printable


def line(incident):
    """An incident, as it stands on the terminal."""
    told = f"{incident.get('id', 'not yet an incident')}  {incident['who']}"
    told += f", since {incident['opened']}" if "opened" in incident else ""
    told += f", last {incident['last']}" if "last" in incident else ", not open"
    told += f", mails {incident['mails']}"
    if incident["waiting"]:
        told += f", deliveries that wait {incident['waiting']}"
    if incident.get("closing"):
        told += ", its last mail waits"
    return printable(told + (f", the first until {incident['until']}" if "until" in incident else ""))


def main():
    """The exit code."""
    parser = argparse.ArgumentParser(description="Show which incidents are open, and what waits for a mail.")
    parser.add_argument("stack", help="the stack's name")
    arguments = parser.parse_args()

    with one_line_errors():
        answer = Stack(arguments.stack).invoke('{"incidents":{}}')
    # A function without a table has no list, and one of 0.1 fails.
    if answer.report is None or answer.report.get("incidents") is None:
        print(f"the function did not say what is open: {answer}", file=sys.stderr)
        return 1
    for incident in answer.report["incidents"]:
        print(line(incident))
    if not answer.report["incidents"]:
        print("No incident is open, and nothing waits for a mail.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
