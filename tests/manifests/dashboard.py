#!/usr/bin/env python3
"""Says what Grafana's own definitions do not know of a dashboard: a line for each field that is lost on the way through them.

    dashboard.py FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Iterator

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before: Any, after: Any, place: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name in after:
                yield from lost(value, after[name], f"{place}/{name}")
            else:
                yield f"{place}/{name} is unknown"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for position, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{place}/{position}")
    elif before != after:
        yield f"{place} is {before!r}, and then {after!r}"


def main(file: Path) -> None:
    register_default_plugins()
    text = file.read_text("utf-8")
    # What reads it takes from it.
    known = JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(json.loads(text)))
    for line in lost(json.loads(text), json.loads(known)):
        print(line)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
