#!/usr/bin/env bash
# Checks after a deploy that the stage answers: it requests a dry run, which changes nothing, and looks at what is pending.
#   STAGE=prod SMOKE_ORGANIZATION=org_… bash infra/build/smoke.sh
# SMOKE_ORGANIZATION is an organization of the tenant that exists for this alone. Region and credentials are those of AWS's command
# line. It needs nothing but that and curl, so that a job with the rights of a deploy runs no package of others. At a terminal,
# `npm run smoke` does the same, and explains more.
set -euo pipefail
stage=${STAGE:?which stage: local, dev, staging or prod} organization=${SMOKE_ORGANIZATION:-}
fail() { echo "$*" >&2; exit 1; }
[[ $organization =~ ^org_[A-Za-z0-9]+$ ]] || fail "SMOKE_ORGANIZATION must be the id of an organization of the tenant"

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[ -n "$region" ] || fail "No region is set: AWS_REGION, or aws configure"
[ -n "${AWS_ACCESS_KEY_ID:-}" ] || eval "$(aws configure export-credentials --format env)"
# The address that takes only what can be undone, which is all that the deploy role may request.
url=${API_URL:-$(aws cloudformation describe-stacks --region "$region" --stack-name "org-connections-$stage" \
  --query "Stacks[0].Outputs[?OutputKey=='ReversibleApiUrl'].OutputValue" --output text)}
[[ $url == http* ]] || fail "The stack org-connections-$stage has no output ReversibleApiUrl: deploy it"

body=$(mktemp)
trap 'rm -f "$body"' EXIT
# Prints the status of an answer, whose body is in a file. The credentials go to curl by a file that it alone reads: everybody on the
# machine sees arguments.
ask() {
  local method=$1
  shift
  curl --silent --show-error --max-time 40 --request "$method" --aws-sigv4 "aws:amz:$region:execute-api" \
    --config <(printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
      [ -z "${AWS_SESSION_TOKEN:-}" ] || printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN") \
    --output "$body" --write-out '%{http_code}' "$@" "$url/organizations/$organization/offboarding"
}

request="{\"action\": \"disable\", \"dry_run\": true, \"reason\": \"smoke check of $stage\"}"
dry_run=$(ask POST --header 'content-type: application/json' --data "$request")
echo "dry run $dry_run $(<"$body")"
# A token that a rotation was just requested for is there within seconds.
for _ in $(seq 13); do
  pending=$(ask GET)
  grep -q management_token_unavailable "$body" || break
  sleep "${WAIT_SECONDS:-5}"
done
echo "pending $pending $(<"$body")"

[[ $dry_run != 403 && $pending != 403 ]] ||
  fail "You may not ask about $organization at $url: the deploy role's SmokeOrganization (infra/account/stage-access.yml)"
! grep -q management_token_unavailable "$body" ||
  fail "The stage has no management token. After a first deploy: store the client's credentials in org-connections/$stage/management-client, rotate org-connections/$stage/management-token, and run this again"
[[ $pending != 404 ]] || fail "The tenant has no organization $organization: create it, for this check alone"
[[ $dry_run == 202 && $pending == 200 ]] || fail "The stage does not answer as it should"
