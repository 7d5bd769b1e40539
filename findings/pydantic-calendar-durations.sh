#!/usr/bin/env bash
# pydantic 2.14.4.
#
# Seen: a field of type `timedelta`, which generators choose for `format: duration`, does not give back the ISO 8601 duration that
# it took. A month becomes thirty days, and 365 days become a year: the first loses the calendar, the second invents it.
#
# Why it matters: a client and a server that both follow the same JSON Schema disagree by up to three days about P1M. A server that
# reads years by the calendar gives a caller who asked for 365 days 366 of them, where a leap day lies in between.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.4
cat >finding.py <<'PY'
from datetime import timedelta

from pydantic import BaseModel


class Request(BaseModel):
    grace_period: timedelta


for text in ["P1M", "P365D", "P400D", "PT36H"]:
    request = Request.model_validate_json('{"grace_period":"%s"}' % text)
    print(text, "->", request.model_dump(mode="json")["grace_period"])
PY
cat >expected <<'OUT'
P1M -> P30D
P365D -> P1Y
P400D -> P1Y35D
PT36H -> P1DT12H
OUT
venv/bin/python finding.py | tee seen
diff expected seen && echo 'As it was found.'
