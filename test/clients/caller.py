"""A caller in Python, whole: botocore signs the request as whoever runs it, and sends it."""

import json
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.session import Session

base_url, organization_id = sys.argv[1:]
request = AWSRequest(
    "POST",
    f"{base_url}/organizations/{organization_id}/offboarding",
    headers={"content-type": "application/json", "idempotency-key": "contract-4711"},
    data=json.dumps({"action": "disable_then_remove", "grace_period": "P30D", "reason": "contract ended"}),
)
SigV4Auth(Session().get_credentials(), "execute-api", "us-east-1").add_auth(request)
answer = URLLib3Session().send(request.prepare())
body = json.loads(answer.content)
print(answer.status_code, body.get("offboarding_id") or body.get("code") or body["message"])
