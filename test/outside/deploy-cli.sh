#!/usr/bin/env bash
# What Auth0's Deploy CLI does to connections that the service has disabled or removed, tried with the real CLI against the stand-in
# tenant: the page about Terraform and the Deploy CLI says the same. It takes openssl, the npm registry and some minutes, and no account.   bash test/outside/deploy-cli.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --prefix "$folder" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error auth0-deploy-cli@8.44.0
# The CLI asks over https alone.
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null
npx node infra/build/build.ts --quiet
npx node test/outside/deploy-cli.ts "$folder"
