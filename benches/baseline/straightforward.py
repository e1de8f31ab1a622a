"""The function as most would write it in Python, and as much of a Lambda runtime as runs it."""

import base64
import gzip
import http.client
import json
import os


def matches(event):
    """The messages of the event that the rule `root-usage` matches."""
    data = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    for log_event in data["logEvents"]:
        record = json.loads(log_event["message"])
        identity = record.get("userIdentity", {})
        if identity.get("type") == "Root" and "invokedBy" not in identity:
            yield record


def run(handler):
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", "/2018-06-01/runtime/invocation/next")
        response = runtime.getresponse()
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        answer = json.dumps(handler(json.loads(response.read())))
        runtime.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", answer)
        runtime.getresponse().read()


if __name__ == "__main__":
    run(lambda event: sum(1 for _ in matches(event)))
