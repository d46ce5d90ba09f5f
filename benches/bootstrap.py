"""Envoy's configuration for a case."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import Any, Mapping

from cases import Setup
from proxy import Failed

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "envoy.yaml"
LUA = HERE / "traceparent.lua"
DEMO = HERE.parent / "envoy" / "envoy.yaml"

TO_UPSTREAM = "route: { cluster: upstream }"
BY_ITSELF = "direct_response: { status: 200, body: { inline_string: ok } }"

# Where Envoy's own tracer sends spans: to nobody, or to the collector of the benchmark as Tracewarden does by default.
TRACERS = {
    "dead": "grpc_service: { envoy_grpc: { cluster_name: collector }, timeout: 0.25s }",
    "live": "http_service: { http_uri: { uri: 'http://live/v1/traces', cluster: live, timeout: 10s } }",
}
TRACING = """{ provider: { name: envoy.tracers.opentelemetry, typed_config: {
  '@type': type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, service_name: bench,
  %s } } }"""

# The demo mesh's logger of broken calls, with its indentation.
LOGGER = re.compile(
    r"^ +- name: envoy\.access_loggers\.file\n +filter:\n.*?(?=^ +route_config:)", re.MULTILINE | re.DOTALL
)
LOGGED_TO = "path: target/mesh/broken.log"


def bootstrap(
    setup: Setup,
    modules: Mapping[str, Path],
    upstream: int = 1,
    collector: int = 1,
    live: int = 1,
    action: str = TO_UPSTREAM,
) -> str:
    """The template with these ports and what the setup asks for. JSON is YAML, too."""
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        tracing=TRACING % TRACERS[setup.tracer] if setup.tracer else "null",
        runtime=json.dumps({"tracing.opentelemetry.min_flush_spans": setup.batch} if setup.tracer == "live" else {}),
        access_log=f"\n{_logger()}" if setup.logs_broken else "[]",
        routes=_routes(setup.routes, action),
        filters=json.dumps([*_filters(setup, modules), _filter("router", "Router")]),
        upstream=upstream,
        collector=collector,
        live=live,
    )


def _routes(number: int, action: str) -> str:
    """So many routes, the last of which takes every request."""
    others = [f"{{ match: {{ path: /route/{place} }}, {action} }}" for place in range(1, number)]
    return f"[{', '.join([*others, f'{{ match: {{ prefix: / }}, {action} }}'])}]"


def _logger() -> str:
    """The demo mesh's logger, whose lines go nowhere."""
    found = LOGGER.search(DEMO.read_text("utf-8"))
    if found is None or LOGGED_TO not in found[0]:
        raise Failed(f"{DEMO}: expected the logger of broken calls ({LOGGED_TO!r}) before route_config, found none.")
    return found[0].replace(LOGGED_TO, "path: /dev/null")


def _filters(setup: Setup, modules: Mapping[str, Path]) -> list[dict[str, Any]]:
    if setup.lua is not None:
        source = {"inline_string": setup.lua + LUA.read_text("utf-8")}
        return [_filter("lua", "Lua", default_source_code=source)]
    if setup.module is None:
        return []
    text = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": setup.configuration}
    code = {"local": {"filename": str(modules[setup.module])}}
    vm = {"vm_id": "bench", "runtime": "envoy.wasm.runtime.v8", "code": code}
    return [_filter("wasm", "Wasm", config={"name": setup.module, "configuration": text, "vm_config": vm})]


def _filter(kind: str, message: str, **fields: Any) -> dict[str, Any]:
    config = {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{kind}.v3.{message}", **fields}
    return {"name": f"envoy.filters.http.{kind}", "typed_config": config}
