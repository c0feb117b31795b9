"""The public API changes only together with its listing."""

from __future__ import annotations

import difflib

from .api import LISTING, listing


def test_the_api_is_the_one_under_review():
    known, found = LISTING.read_text().splitlines(), listing().splitlines()
    changes = list(difflib.unified_diff(known, found, "listed", "found", n=0, lineterm=""))
    assert changes == [], (
        "the public API has changed. If that is meant, say so in a file in changes/, see docs/versioning.md for what "
        "may change, and list it anew: python tests/docs/api.py\n" + "\n".join(changes)
    )
