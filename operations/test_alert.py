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
    parser = argparse.ArgumentParser(description="Have the deployed function send a test mail.")
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
            f"the function answered but sent no test: {answer}. It sends at most one a minute: try again in a minute",
            file=sys.stderr,
        )
        return 1
    print(
        f"The topic accepted the test, message id {answer.report['message_id']}. Within a minute everyone subscribed to"
        f" {topic} gets a mail whose subject begins with [TEST]. If nobody does, look in the spam folder and for a"
        f" subscription that is not confirmed: aws sns list-subscriptions-by-topic --topic-arn {topic}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
