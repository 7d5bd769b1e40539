#!/usr/bin/env bash
# What a deploy takes, all of it, so that the job that deploys installs nothing: each stage's package, the script that deploys one,
# and the smoke check as one file.   bash infra/build/release.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?where to}
npm run build -- --quiet
for stage in dev staging prod; do
  npx osls package --stage "$stage" --package "$folder/$stage"
  # osls's own notes, for its own deploy.
  rm "$folder/$stage/serverless-state.json"
done
cp infra/build/deploy.sh "$folder/"
npx esbuild infra/commands/smoke.ts --bundle --platform=node --format=esm --target=node20 --outfile="$folder/smoke.mjs" --log-level=warning \
  --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
