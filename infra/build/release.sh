#!/usr/bin/env bash
# Builds what a deploy takes: the package of each stage, and the SHA-256 of each of its files.   bash infra/build/release.sh FOLDER
# It runs in a job of its own, on the exact Node of .nvmrc, after `npm ci --ignore-scripts`: what is deployed is made of the lock file
# alone. The digest of the sums goes to the job's outputs, so that the job that deploys does not have to trust the artifact.
set -euo pipefail
folder=$(realpath -m "${1:?which folder}")
cd "$(dirname "$0")/../.."
say() { echo "$*" >&2; }

wanted=v$(<.nvmrc)
[ "$(node --version)" = "$wanted" ] || { say "This is Node $(node --version), and .nvmrc says $wanted"; exit 1; }
node infra/build/build.ts --quiet
for stage in dev staging prod; do
  node node_modules/.bin/osls package --stage "$stage" --package "$folder/$stage"
  # osls's own notes, for its own deploy.
  rm "$folder/$stage/serverless-state.json"
done
cd "$folder"
find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS
digest=$(sha256sum SHA256SUMS | cut -d' ' -f1)
say "$(wc -l <SHA256SUMS) files, digest $digest"
echo "digest=$digest" >>"${GITHUB_OUTPUT:-/dev/null}"
