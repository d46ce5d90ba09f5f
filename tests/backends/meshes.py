"""The demo mesh with another exporter, and what its tests do with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from servers import DIRECTORY, REPOSITORY, free_ports, start
from mesh import COLLECTOR_HTTP, PORTS, TEMPLATE, render
from proxy import HOST, Failed, running

ANSWER_SECONDS = 10
EXPORT = '"export": {"otlp": {"cluster": "otel_collector"}, "delay_ms": 500}'
HTTP_2 = """
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }"""

# An outsider's context, which the edge does not trust.
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01", "user-agent": "backends/1.0"}


@dataclass(frozen=True)
class Exchanged:
    """The status of an answer, and the traceparent that each application says it received, by application."""

    status: int
    received: dict[str, str]


def changed(config: str, changes: dict[str, str], file: Path = TEMPLATE) -> str:
    """The configuration of a file with these texts replaced, each of which it must have."""
    for old, new in changes.items():
        if old not in config:
            raise Failed(f"{file}: expected {old!r}, found none; it and tests/backends no longer fit together")
        config = config.replace(old, new)
    return config


def configuration(first: int, export: dict[str, object], port: int, http_2: bool) -> str:
    """The demo mesh's configuration with these ports and this exporter. The application mangler is not there."""
    module = REPOSITORY / "target/tracewarden.wasm"
    config = render(TEMPLATE.read_text("utf-8"), first, first + len(PORTS), module, DIRECTORY / "broken.log")
    nobody = first + COLLECTOR_HTTP
    changes = {
        EXPORT: '"export": ' + json.dumps({**export, "delay_ms": 100}),
        f"port_value: {nobody} ": f"port_value: {port} ",
        f"port_value: {first + 9} ": f"port_value: {nobody} ",
        # A route's name that is a path becomes `http.route`.
        "name: edge_": "name: /",
    }
    if http_2:
        changes["- name: otel_collector"] = f"- name: otel_collector{HTTP_2}"
    return changed(config, changes)


def demo_mesh(stack: contextlib.ExitStack, export: dict[str, object], port: int, http_2: bool) -> int:
    """Starts the demo mesh, which is stopped with the stack; returns the edge's port."""
    first = free_ports(len(PORTS) + 1)
    command = [sys.executable, "-B", str(REPOSITORY / "envoy/demo.py"), "--base-port", str(first)]
    start(stack, "demo", command, first + 8)
    stack.enter_context(running(Path(os.environ["ENVOY"]), configuration(first, export, port, http_2)))
    return first


def request(port: int, path: str) -> Exchanged:
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"host": "shop.example", **SENT})
        answer = connection.getresponse()
        text = answer.read().decode()
    return Exchanged(answer.status, dict(re.findall(r"(\w+) received \S+ with\n\s+traceparent: (\S+)", text)))
