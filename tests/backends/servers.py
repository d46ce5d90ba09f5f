"""The real servers that keep spans, on free ports of loopback, and what each answers about its traces."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / place) for place in ("envoy/local", "envoy")]

from environment import jaeger_config
from lab import wait
from mesh import obstacle
from proxy import HOST, Failed, accepts
from trees import Object, Span, of_jaeger, of_rotel, of_zipkin

DIRECTORY = REPOSITORY / "target/backends"
PROGRAMS = REPOSITORY / "target/programs"
ROTEL = REPOSITORY / ".venv/collector/rotel-agent"
ANSWER_SECONDS = 10
READY_SECONDS = 90
STOP_SECONDS = 10


def require() -> None:
    """Refuses if a program is not there, and makes the directory of logs."""
    for program in (PROGRAMS / "jaeger", PROGRAMS / "collector", Path(os.environ["ZIPKIN"]), ROTEL):
        if not program.is_file():
            raise Failed(f"{program} is not there; `make test-backends` gets it")
    if shutil.which(os.environ["JAVA"]) is None:
        lacking = f"Zipkin needs Java 17 or later, and there is no {os.environ['JAVA']}"
        raise Failed(f"{lacking}; name one: make test-backends JAVA=/path/to/java")
    DIRECTORY.mkdir(parents=True, exist_ok=True)


def free_ports(count: int) -> int:
    """The first of so many free ports in a row, below those that the system hands out by itself."""
    for _ in range(100):
        first = random.randrange(20_000, 30_000 - count)
        if all(obstacle(port) is None for port in range(first, first + count)):
            return first
    raise Failed(f"expected {count} free ports in a row from 20000 to 29999, found none")


def start(stack: contextlib.ExitStack, name: str, command: list[str], port: int) -> Path:
    """Starts a server that is stopped with the stack, waits for its port, and returns the file of what it prints."""
    log = DIRECTORY / f"{name}.log"
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=DIRECTORY)
    stack.callback(stop, child)
    wait(f"{name} on port {port}", lambda: accepts(port), READY_SECONDS, log, child)
    return log


def stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def ask(port: int, path: str) -> Any:
    """What a query API answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
    if answer.status != 200:
        raise Failed(f"{path}: {answer.status} {text[:300]}")
    return json.loads(text)


def configured(stack: contextlib.ExitStack, program: str, config: Object, port: int) -> None:
    """Starts one of our programs that takes a collector's configuration."""
    file = DIRECTORY / f"{program}.json"
    file.write_text(json.dumps(config), "utf-8")
    start(stack, program, [str(PROGRAMS / program), "--config", str(file)], port)


class Jaeger:
    """Jaeger 2, asked through the API of its page."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.grpc = free_ports(4)
        self.http, self._query, query_grpc = (self.grpc + more for more in (1, 2, 3))
        configured(stack, "jaeger", jaeger_config(HOST, self.grpc, self.http, self._query, query_grpc), self._query)

    def spans(self) -> list[Span]:
        found: dict[str, Object] = {}
        for service in ask(self._query, "/api/services")["data"] or []:
            traces = ask(self._query, f"/api/traces?service={service}&limit=1000")["data"]
            found.update({trace["traceID"]: trace for trace in traces})
        return of_jaeger(list(found.values()))

    def search(self, service: str, attribute: str, value: str) -> set[str]:
        """The traces in which a span of the service has this value, by their ids."""
        tags = quote(json.dumps({attribute: value}))
        return {trace["traceID"] for trace in ask(self._query, f"/api/traces?service={service}&tags={tags}")["data"]}


class Collector:
    """The OpenTelemetry Collector, which sends to a Jaeger what it receives."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._jaeger = Jaeger(stack)
        self.grpc = free_ports(2)
        self.http = self.grpc + 1
        protocols = {name: {"endpoint": f"{HOST}:{port}"} for name, port in (("grpc", self.grpc), ("http", self.http))}
        config = {
            "receivers": {"otlp": {"protocols": protocols}},
            "processors": {"batch": {"timeout": "200ms"}},
            "exporters": {"otlp_grpc": {"endpoint": f"{HOST}:{self._jaeger.grpc}", "tls": {"insecure": True}}},
            "service": {
                "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["otlp_grpc"]}},
                "telemetry": {"metrics": {"level": "none"}},
            },
        }
        configured(stack, "collector", config, self.http)

    def spans(self) -> list[Span]:
        return self._jaeger.spans()

    def search(self, service: str, attribute: str, value: str) -> set[str]:
        return self._jaeger.search(service, attribute, value)


class Zipkin:
    """Zipkin's server, asked through its API."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.http = free_ports(1)
        ports = {"ip": HOST, "port": self.http, "protocols[0]": "http"}
        command = [os.environ["JAVA"], "-Xmx256m", "-jar", os.environ["ZIPKIN"]]
        start(stack, "zipkin", command + [f"--armeria.ports[0].{name}={value}" for name, value in ports.items()], self.http)

    def answer(self) -> Any:
        return ask(self.http, "/api/v2/traces?limit=1000")

    def spans(self) -> list[Span]:
        return of_zipkin(self.answer())

    def search(self, service: str, attribute: str, value: str) -> set[str]:
        """The traces in which a span of the service has this value, by their ids."""
        query = quote(f"{attribute}={value}")
        traces = ask(self.http, f"/api/v2/traces?serviceName={service}&annotationQuery={query}")
        return {trace[0]["traceId"] for trace in traces}


class Rotel:
    """rotel, which prints every span."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.grpc = free_ports(2)
        self.http = self.grpc + 1
        command = [str(ROTEL), "start", "--otlp-grpc-endpoint", f"{HOST}:{self.grpc}", "--otlp-http-endpoint", f"{HOST}:{self.http}"]
        command += ["--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
        self._log = start(stack, "rotel", command, self.http)

    def spans(self) -> list[Span]:
        return of_rotel(self._log.read_text("utf-8", "replace"))


def by_trace(spans: list[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        found[span.trace_id].append(span)
    return dict(found)
