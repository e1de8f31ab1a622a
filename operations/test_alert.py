#!/usr/bin/env python3
"""Have the deployed function mail a test, to see that mails arrive.

    test_alert.py STACK

Exit code 1 if the function failed, 2 if AWS refused what is needed: cloudformation:DescribeStacks,
lambda:InvokeFunction.
"""

import argparse
import sys

from stack import Stack, one_line_errors


def main():
    """The exit code."""
    parser = argparse.ArgumentParser(description="Have the deployed function mail a test.")
    parser.add_argument("stack", help="the stack's name")
    arguments = parser.parse_args()

    with one_line_errors():
        stack = Stack(arguments.stack)
        topic = stack.output("AlertTopicArn")
        answer = stack.invoke('{"test":{}}')
    if answer.report is None:
        print(f"the test failed: {answer}", file=sys.stderr)
        return 1
    if answer.report.get("mails") != 1:
        print(
            f"the function answered, and sent no test: {answer}. It sends at most one a minute: try again in a minute",
            file=sys.stderr,
        )
        return 1
    print(
        f"The topic took the test, message id {answer.report['message_id']}. Within a minute everybody who is subscribed to"
        f" {topic} gets a mail whose subject begins [TEST]. If nobody does: spam folder, or a subscription that is not"
        f" confirmed (aws sns list-subscriptions-by-topic --topic-arn {topic})."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
