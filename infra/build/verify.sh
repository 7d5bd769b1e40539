#!/usr/bin/env bash
# Fails unless FOLDER has exactly the files that infra/build/release.sh built, as they were built.
#   bash infra/build/verify.sh FOLDER DIGEST        DIGEST: the output of the job that built them
set -euo pipefail
folder=${1:?which folder} digest=${2:?which digest}
[[ $digest =~ ^[0-9a-f]{64}$ ]] || { echo "The digest is not a SHA-256" >&2; exit 1; }
cd "$folder"
echo "$digest  SHA256SUMS" | sha256sum --check --strict --quiet
sha256sum --check --strict --quiet SHA256SUMS
# A file that nobody built is an error, too; so is a link, whose target the sums do not cover.
diff <(cut -c67- SHA256SUMS | LC_ALL=C sort) <(find . ! -type d ! -name SHA256SUMS | LC_ALL=C sort) >&2
[ -z "$(find . -type l)" ] || { echo "There is a link among the files" >&2; exit 1; }
