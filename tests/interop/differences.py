"""The table of known differences, `differences.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TABLE = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Difference:
    """A row of the table."""

    library: str
    formats: str
    direction: str
    features: str
    what: str
    rule: str
    right: str
    why: str

    @cached_property
    def reasons(self) -> list[str]:
        """The alternatives among the features."""
        return [reason for part in self.features.split(" or ") for reason in expanded(part)]

    def is_about(self, form: str, library: str, direction: str) -> bool:
        return form in self.formats.split() and (library, direction) == (self.library, self.direction)

    def reason(self, features: frozenset[str]) -> str | None:
        """The alternative that these features fit."""
        return next((reason for reason in self.reasons if fits(reason, features)), None)


def is_always(reason: str) -> bool:
    """Whether all cases must differ that have these features."""
    return "random bytes" not in reason


def fits(reason: str, features: frozenset[str]) -> bool:
    return all(
        feature.removeprefix("not ") not in features if feature.startswith("not ") else feature in features
        for feature in reason.split(" and ")
    )


def expanded(text: str) -> Iterator[str]:
    """Each choice among `{a,b}`, as a shell expands it."""
    choice = re.search(r"{([^}]*)}", text)
    if choice is None:
        yield text
        return
    for option in choice[1].split(","):
        yield from expanded(text[: choice.start()] + option + text[choice.end() :])


def _read(table: str) -> Iterator[Difference]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) != 8:
            raise ValueError(f"{TABLE}: a row has {len(cells)} cells, not 8: {line}")
        yield Difference(*cells)


DIFFERENCES = tuple(_read(TABLE.read_text()))
