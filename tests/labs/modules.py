"""Modules that are not those of this work tree."""

from __future__ import annotations

import re

from proxy import Failed

SECOND_REVISION = "5ec0d" * 8


def other_revision(module: bytes) -> bytes:
    """The module as if it had been built from another commit."""
    found = re.search(rb'"revision":"([0-9a-f]{40}(?:-dirty)?)"', module)
    if found is None:
        raise Failed("the module names no commit: build it in a git work tree")
    return module.replace(found[1], SECOND_REVISION.encode() + found[1][40:])
