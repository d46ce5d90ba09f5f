"""What Tracewarden counted, as `make envoy-status` shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from proxy import align

COUNTERS_PATH = "/stats/prometheus?filter=tracewarden_"
REQUESTS = "tracewarden_requests_total"

# By the direction and the context of requests, or by the name of another metric.
MEANINGS: dict[object, str] = {
    ("outbound", "lost"): "an application behind this Envoy made a call without context",
    ("inbound", "lost"): "a caller of this Envoy sent no context where one was expected",
    ("outbound", "corrupt"): "an application behind this Envoy made a call with a broken context",
    ("inbound", "corrupt"): "a caller of this Envoy sent a broken context",
    "tracewarden_bypassed_total": "the configuration was refused: everything passes, nothing is counted",
    "tracewarden_host_errors_total": "Envoy refused a call that the filter made; its log says more",
}


@dataclass(frozen=True)
class Series:
    """One line of Envoy's Prometheus page."""

    name: str
    labels: dict[str, str]
    value: float

    def meaning(self) -> Optional[str]:
        request = self.labels.get("direction"), self.labels.get("context")
        return MEANINGS.get(request if self.name == REQUESTS else self.name)


def parse_series(page: str) -> list[Series]:
    """Tracewarden's series that are not zero, without the buckets of histograms, which build it is, and that it works."""
    found = []
    for line in page.splitlines():
        match = re.fullmatch(r"(tracewarden_\w+)(?:\{(.*)\})? (\S+)", line)
        if match is None or match[1].endswith(("_bucket", "_build_info", "_enabled")) or float(match[3]) == 0:
            continue
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        found.append(Series(match[1], labels, float(match[3])))
    return found


def builds(page: str) -> set[str]:
    """The revisions of Tracewarden that run, by Envoy's Prometheus page."""
    return set(re.findall(r'^tracewarden_build_info\{.*?revision="([^"]*)".*\} 1$', page, re.MULTILINE))


def table(every: list[Series]) -> str:
    """A block for each metric, that of requests first."""
    names = sorted({series.name for series in every}, key=lambda name: (name != REQUESTS, name))
    blocks = [_block(name, [series for series in every if series.name == name]) for name in names]
    return "\n\n".join(blocks) or "Tracewarden has counted nothing yet."


def _block(name: str, group: list[Series]) -> str:
    labels = list(dict.fromkeys(label for series in group for label in series.labels))
    rows = [[*labels, "count"]]
    rows += [[*(series.labels.get(label, "") for label in labels), f"{series.value:.15g}"] for series in group]
    lines = [name]
    for line, text in zip(align(rows, len(labels)), [None, *(series.meaning() for series in group)]):
        lines.append(f"  {line}  <- {text}" if text else f"  {line}")
    return "\n".join(lines)
