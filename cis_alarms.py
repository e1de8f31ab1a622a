#!/usr/bin/env python3
"""Make cis-alarms.yaml, the published rules as CloudWatch alarms, from rules.json.

    cis_alarms.py           write cis-alarms.yaml
    cis_alarms.py --check   write nothing; exit 1 if cis-alarms.yaml is not what rules.json makes
"""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "cis-alarms.yaml"
SET = "cis"

HEAD = """\
# Made by cis_alarms.py from rules.json: edit those, then run `make cis-alarms`.
AWSTemplateFormatVersion: '2010-09-09'
Description: >-
  The published CloudTrail alarms (Security Hub CloudWatch.1 to .14, EC2 instances, AWS
  Organizations) as CloudWatch metric filters and alarms, without the function.

Parameters:
  LogGroupName:
    Type: String
    Description: >-
      The name of the CloudWatch Logs log group that your multi-Region CloudTrail trail writes to, in
      this account and Region.
    AllowedPattern: ^[.\\-_/#A-Za-z0-9]{1,512}$
    ConstraintDescription: must be the name (not the ARN) of a log group
  AlarmTopicArn:
    Type: String
    Description: >-
      The ARN of the SNS topic that the alarms go to. Security Hub requires at least one subscriber.
    AllowedPattern: ^arn:[a-z-]+:sns:[a-z0-9-]+:\\d{12}:[A-Za-z0-9_-]{1,256}$
    ConstraintDescription: must be the ARN of a standard SNS topic
  MetricNamespace:
    Type: String
    Default: CloudTrailMetrics
    Description: The namespace of the metrics that the filters count in.
    AllowedPattern: ^[A-Za-z0-9._/#-]{1,255}$
    ConstraintDescription: must be the name of a metric namespace of your own

Resources:
"""

# Five minutes, one record: what Security Hub's own instructions set. Without records there is no
# alarm; a stopped trail is another alarm's matter.
RESOURCES = """\
  # {title}: {source}
  {name}Filter:
    Type: AWS::Logs::MetricFilter
    Properties:
      LogGroupName: !Ref LogGroupName
      FilterPattern: {pattern}
      MetricTransformations:
        - MetricName: {id}
          MetricNamespace: !Ref MetricNamespace
          MetricValue: '1'
          DefaultValue: 0
  {name}Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: {description}
      Namespace: !Ref MetricNamespace
      MetricName: {id}
      Statistic: Sum
      Period: 300
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
      TreatMissingData: notBreaching
      AlarmActions: [!Ref AlarmTopicArn]
"""


def quoted(text: str) -> str:
    """A YAML scalar of one line that is this text to the letter."""
    if not text.isprintable():
        raise ValueError(f"{text!r} is not one line of printable characters, so it needs other quotes")
    return "'" + text.replace("'", "''") + "'"


def source(rule: dict) -> str:
    """Where the rule was published, as people cite it."""
    return ", ".join(part for part in (rule["source"], rule.get("control"), rule["date"]) if part)


def template(rules: list[dict]) -> str:
    """The template for the rules of the set."""
    return HEAD + "\n".join(
        RESOURCES.format(
            id=rule["id"],
            # CloudFormation's names have letters and digits only.
            name="".join(word.capitalize() for word in rule["id"].split("-")),
            title=rule["title"],
            source=source(rule),
            pattern=quoted(rule["pattern"]),
            description=quoted(f"{rule['severity']}: {rule['title']} ({source(rule)})"),
        )
        for rule in rules
        if SET in rule["sets"]
    )


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description="Make cis-alarms.yaml from rules.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the template is not up to date")
    arguments = parser.parse_args()

    made = template(json.loads((HERE / "rules.json").read_text()))
    if TEMPLATE.exists() and TEMPLATE.read_text() == made:
        return 0
    if arguments.check:
        print(f"{TEMPLATE.name} is not what rules.json makes; run cis_alarms.py", file=sys.stderr)
        return 1
    TEMPLATE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
