"""What the tests in the labs send, and what they read in the answers."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from lab import Answer

CORRUPT = {"traceparent": "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01"}


def context(sampled: bool = True) -> dict[str, str]:
    """A fresh trace context."""
    return {"traceparent": f"00-{random.getrandbits(128) | 1:032x}-{random.getrandbits(64) | 1:016x}-0{int(sampled)}"}


def received(answer: Answer, service: str, name: str = "traceparent") -> list[str]:
    """The lines of a header that the application of a service received."""
    for hop in json.loads(answer.text):
        if hop["service"] == service:
            return [value for header, value in hop["received"] if header == name]
    raise AssertionError(f"{service} is not in {answer.text}")


@dataclass
class Load:
    """Requests on connections of their own, till the block ends."""

    send: Callable[[str, dict[str, str]], Answer]
    every: float = 0.02
    path: str = "/"
    headers: Callable[[], dict[str, str]] = context
    sent: int = 0
    failed: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            begin = time.monotonic()
            try:
                answer = self.send(self.path, self.headers())
                if answer.status != 200:
                    self.failed.append(f"{answer.status} {answer.text[-300:]}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            self.sent += 1
            self._ended.wait(max(0.0, self.every - (time.monotonic() - begin)))
