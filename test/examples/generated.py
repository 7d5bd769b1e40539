"""Makes calls with the client that openapi-python-client generates: a list of them on stdin, what became of each on stdout."""

import importlib
import json
import sys
import uuid

BODIES = {
    "disable-connection": "disable_body.DisableBody",
    "request-offboarding": "offboarding_body.OffboardingBody",
    "request-offboardings": "batch_body.BatchBody",
}
PACKAGE = sys.argv[1]
Client = importlib.import_module(f"{PACKAGE}.client").Client


def argument(name, value):
    if name == "batch_id":
        return uuid.UUID(value)
    if name == "status":
        return importlib.import_module(f"{PACKAGE}.models.list_offboardings_status").ListOffboardingsStatus(value)
    return value


def call(base_url, operation, tag, arguments, body=None):
    module = importlib.import_module(f"{PACKAGE}.api.{tag}.{operation.replace('-', '_')}")
    arguments = {name: argument(name, value) for name, value in arguments.items()}
    if body is not None:
        file, name = BODIES[operation].split(".")
        arguments["body"] = getattr(importlib.import_module(f"{PACKAGE}.models.{file}"), name).from_dict(body)
    answer = module.sync_detailed(client=Client(base_url=base_url), **arguments)
    parsed = answer.parsed
    kind = None if parsed is None else type(parsed).__name__
    code = getattr(parsed, "code", None)
    # One type for the service's problem and the gateway's message: a code tells the first.
    if kind == "Failure":
        kind = "Problem" if isinstance(code, str) else "GatewayMessage"
    return {"status": int(answer.status_code), "kind": kind, "code": code if isinstance(code, str) else None}


print(json.dumps([call(**one) for one in json.load(sys.stdin)]))
