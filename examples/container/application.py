"""An application beside LocalOmium: the environment names the address of its container, and the key."""

from __future__ import annotations

from omium_sync import Omium

# The network between the containers is private. Without this argument the client sends no key over plain http.
with Omium(allow_insecure_http=True) as omium:
    done = omium.executions.run("greet", {"name": "ada"})
    print(done.output_data)
