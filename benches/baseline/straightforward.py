"""The function as most would write it in Python, and as much of a Lambda runtime as runs it."""

import base64
import gzip
import http.client
import json
import os


def handler(event):
    data = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    matched = 0
    for log_event in data["logEvents"]:
        identity = json.loads(log_event["message"]).get("userIdentity", {})
        matched += identity.get("type") == "Root" and "invokedBy" not in identity
    return matched


def main():
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        runtime.request("GET", "/2018-06-01/runtime/invocation/next")
        response = runtime.getresponse()
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        answer = json.dumps(handler(json.loads(response.read())))
        runtime.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", answer)
        runtime.getresponse().read()


main()
