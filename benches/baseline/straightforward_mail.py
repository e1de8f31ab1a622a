"""The same with a mail for each match, by boto3. The client is made at the start, as AWS recommends."""

import json
import os

import boto3

from straightforward import matches, run

sns = boto3.client("sns")


def handler(event):
    matched = 0
    for record in matches(event):
        subject = f"Root {record['eventName']} from {record['sourceIPAddress']}"
        sns.publish(TopicArn=os.environ["ALERT_TOPIC_ARN"], Subject=subject[:99], Message=json.dumps(record, indent=2))
        matched += 1
    return matched


run(handler)
