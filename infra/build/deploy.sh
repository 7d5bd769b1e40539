#!/usr/bin/env bash
# Deploys a stage that was packaged before, with nothing but AWS's command line:
#   bash infra/build/deploy.sh STAGE [FOLDER]        FOLDER: what `npm run package -- --stage STAGE` wrote (.serverless)
# Region and credentials are those of the command line (AWS_PROFILE, SSO, AWS_REGION …). An older package is a way back.
set -euo pipefail
stage=${1:?which stage: local, dev, staging or prod}
folder=${2:-.serverless}
stack=org-connections-$stage
template=$folder/cloudformation-template-update-stack.json
say() { echo "$*" >&2; }

grep -q "\"org-connections-$stage-disable-connection\"" "$template" || { say "$template is not the package of stage $stage"; exit 1; }
# Another deploy of the stage, of this workflow or by hand, ends first.
for _ in $(seq 120); do
  status=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text 2>&1) || break
  [[ $status == *_IN_PROGRESS && $status != REVIEW_* ]] || break
  say "$stack is $status: waiting for its end"
  sleep "${WAIT_SECONDS:-15}"
done
tags=(service=org-connections "stage=$stage")

case $status in
ROLLBACK_COMPLETE)
  say "The first deploy of $stack failed and nothing can be deployed onto what it left: aws cloudformation delete-stack --stack-name $stack"
  exit 1 ;;
*_COMPLETE) ;;
*"does not exist"* | REVIEW_IN_PROGRESS)
  # The first deploy: the bucket for the artifacts has to be there before them.
  aws cloudformation deploy --stack-name "$stack" --template-file "$folder/cloudformation-template-create-stack.json" --tags "${tags[@]}" ;;
*)
  say "$stack: $status"
  exit 1 ;;
esac
bucket=$(aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id ServerlessDeploymentBucket \
  --query StackResourceDetail.PhysicalResourceId --output text)
# Where the template expects the functions' archives.
prefix=$(grep -o "serverless/org-connections/$stage/[^/\"]*" "$template" | head -1)
for archive in "$folder"/*.zip; do
  aws s3 cp --only-show-errors "$archive" "s3://$bucket/$prefix/$(basename "$archive")"
done
aws cloudformation deploy --stack-name "$stack" --template-file "$template" --s3-bucket "$bucket" --s3-prefix "$prefix" \
  --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset --tags "${tags[@]}"
aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]' --output text

current=$(aws secretsmanager describe-secret --secret-id "org-connections/$stage/management-client" \
  --query 'length(values(VersionIdsToStages || `{}`))' --output text)
if [ "$current" = 0 ]; then
  say "Deployed. No client credentials are stored yet: until they are, and the token was rotated, every call of Auth0 is answered 503,"
  say "and the alarms \"token not rotated\" and \"rotate-management-token errors\" are red (docs/deployment.md, \"From an empty account\")."
fi
