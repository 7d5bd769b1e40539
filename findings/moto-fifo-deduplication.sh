#!/usr/bin/env bash
# moto 5.2.5 in server mode, with boto3 1.43.106 as the client.
#
# Seen: a FIFO queue forgets a message's deduplication id when the message is deleted. The same message, sent again within the five
# minutes of deduplication, is delivered a second time. The API reference of SQS says that it is accepted and not delivered, also
# when the first one has been received and deleted.
#
# Why it matters: a test of "a repetition is worked off once" fails on moto for code that is right. Worse, code that relies on a
# repetition to come through (a retry with the same id after a completed run) is green there and loses messages in AWS.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'moto[server]==5.2.5' boto3==1.43.106
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/moto_server -H 127.0.0.1 -p "$port" >log 2>&1 &
server=$!
cat >finding.py <<'PY'
import sys
import time

import boto3

keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
sqs = boto3.client("sqs", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", **keys)
for _ in range(100):
    try:
        sqs.list_queues()
        break
    except Exception:
        time.sleep(0.2)
url = sqs.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]


def send():
    sqs.send_message(QueueUrl=url, MessageBody="order 1", MessageGroupId="a", MessageDeduplicationId="order-1")


def receive():
    return sqs.receive_message(QueueUrl=url).get("Messages", [])


send()
send()
first = receive()
sqs.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
print("sent twice, received:", len(first) + len(receive()))
send()
print("sent again after the deletion, received:", len(receive()))
PY
cat >expected <<'OUT'
sent twice, received: 1
sent again after the deletion, received: 1
OUT
venv/bin/python finding.py "$port" | tee seen
diff expected seen && echo 'As it was found.'
