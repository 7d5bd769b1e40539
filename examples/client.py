"""Requests an offboarding from Python and prints its id.

    pip install botocore
    API_URL=… AWS_REGION=… python client.py org_… contract-4711     (signs as whoever runs it)
"""

import json
import os
import sys
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.session import Session

organization_id, key = sys.argv[1:]
url = f"{os.environ['API_URL']}/organizations/{organization_id}/offboarding"
signer = SigV4Auth(Session().get_credentials(), "execute-api", os.environ["AWS_REGION"])
headers = {
    "accept": "application/json, application/problem+json",
    "content-type": "application/json",
    "idempotency-key": key,
}
# Leave out a member that you do not set; the service refuses null. A duration is text: "P30D" and not a timedelta.
body = {
    "action": "disable_then_remove",
    "grace_period": "P30D",
    "requested_by": "billing",
    "reason": "contract ended",
}

# Two answers are temporary: 429 and 503. With the key, a repetition is the same offboarding.
for attempt in range(3):
    request = AWSRequest("POST", url, headers=dict(headers), data=json.dumps(body))
    signer.add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    if answer.status_code not in (429, 503) or attempt == 2:
        break
    time.sleep(int(answer.headers.get("retry-after", "5")))
result = json.loads(answer.content)
if answer.status_code != 202:
    # API Gateway's own answers have no code.
    sys.exit(f"{answer.status_code} {result.get('code') or result['message']}")
print(answer.status_code, result["offboarding_id"])
