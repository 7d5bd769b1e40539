#!/usr/bin/env bash
# Requests an offboarding with curl (7.76 or newer), which signs the request, and then shows how it stands.
#
#   API_URL=… AWS_REGION=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… [AWS_SESSION_TOKEN=…] ./offboard.sh org_… contract-4711
set -euo pipefail
: "${API_URL:?}" "${AWS_REGION:?}" "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}"
organization=$1
key=$2

# curl reads the secrets from a pipe: every process on the machine can read a command line.
secrets() {
  printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
  # curl signs a header without a value and does not send it, so the token's header is here only if there is a token.
  [ -z "${AWS_SESSION_TOKEN:-}" ] || printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN"
}

# It waits for as long as Retry-After says when the answer is 429 or 5xx. With the key, a repetition is the same offboarding.
signed() {
  curl --silent --show-error --fail-with-body --retry 3 --config <(secrets) \
    --aws-sigv4 "aws:amz:$AWS_REGION:execute-api" --header 'accept: application/json, application/problem+json' "$@"
  echo
}

signed --request POST "$API_URL/organizations/$organization/offboarding" \
  --header "idempotency-key: $key" --header 'content-type: application/json' \
  --data '{"action": "disable_then_remove", "grace_period": "P30D", "requested_by": "billing", "reason": "contract ended"}'
signed "$API_URL/organizations/$organization/offboarding"
