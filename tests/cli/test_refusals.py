"""Refusals of the account and the address: one line that says what to do, and exit status 1."""

from __future__ import annotations

import pytest

from omium_async.local import Fault

#: Status, body, and what the line says.
REFUSALS = {
    "401": (401, b'{"detail": "bad key"}', "the key came from"),
    "402": (402, b'{"detail": "no credits"}', "out of credits"),
    "403 JSON": (403, b'{"detail": "not allowed"}', "not allowed"),
    "403 HTML": (403, b"<html><title>Forbidden</title></html>", "403"),
    "404 of the gateway": (404, b'{"message": "no Route matched with those values"}', "the base URL is"),
    "405": (405, b'{"detail": "Method Not Allowed"}', "the base URL is"),
    "422": (422, b'{"detail": "never"}', "never"),
    "429": (429, b'{"detail": "too many"}', "accepts requests again at"),
}
COMMANDS = {
    "list": ("GET", ("list",)),
    "count": ("GET", ("count",)),
    "show": ("GET", ("show", "ID")),
    "wait": ("GET", ("wait", "ID")),
    "create": ("POST", ("create", "nobody")),
    "batch": ("POST", ("batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "j")),
    "batch --wait": ("POST", ("batch", "in.jsonl", "--workflow-id", "nobody", "--journal", "j", "--wait")),
    "replay": ("POST", ("replay", "FAILED", "--checkpoint-name", "first")),
    "cancel": ("PATCH", ("cancel", "ID")),
    "delete": ("DELETE", ("delete", "ID", "--yes")),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_refusal_is_one_line_that_says_what_to_do(connected, service, command, refusal):
    connected.write("in.jsonl", 1)
    names = {"FAILED": service.run("fail")}
    with service.client() as omium:
        names["ID"] = omium.executions.create("nobody").id
    method, words = COMMANDS[command]
    status, body, says = REFUSALS[refusal]
    headers = {"Retry-After": "3000"} if status == 429 else {}
    service.local.inject(Fault(method=method, status=status, body=body, headers=headers, times=None))
    connected.environment["OMIUM_PATIENCE"] = "0"
    ended = connected(*(names.get(word, word) for word in words))
    assert ended.code == 1
    assert says in ended.err
    assert len([line for line in ended.err.splitlines() if not line.startswith("omiumctl: warning: ")]) == 1
    if refusal == "402" and command.startswith("batch"):
        assert "the same journal" in ended.err
