#!/usr/bin/env bash
# Builds AWS's runtime client for Node.js in a temporary folder, and runs the tests that need it. It has native code: where npm can
# not build that (it takes cmake, a C++ compiler, make and Python), the tests are left out, and this says so.
set -uo pipefail
cd "$(dirname "$0")/../../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PATH="$PWD/node_modules/.bin:$PATH"

cp test/local/lambda-runtime/client/package*.json "$folder"
if ! (cd "$folder" && npm ci --no-audit --no-fund >"$folder/install.log" 2>&1) ||
  [ ! -f "$folder/node_modules/aws-lambda-ric/rapid-client.node" ]; then
  tail -n 20 "$folder/install.log"
  echo "npm cannot build aws-lambda-ric here: the tests under AWS's own runtime client are LEFT OUT of this run"
  exit 0
fi
LAMBDA_RUNTIME_CLIENT="$folder/node_modules/aws-lambda-ric" \
  npx vitest run --config test/vitest.config.ts --project default local/lambda-runtime local/lambda-bundles
