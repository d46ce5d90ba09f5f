"""Envoy's configuration for a case."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any, Mapping

from cases import Setup

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "envoy.yaml"
LUA = HERE / "traceparent.lua"

TO_UPSTREAM = "route: { cluster: upstream }"
BY_ITSELF = "direct_response: { status: 200, body: { inline_string: ok } }"

TRACING = """{ provider: { name: envoy.tracers.opentelemetry, typed_config: {
  '@type': type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, service_name: bench,
  grpc_service: { envoy_grpc: { cluster_name: collector }, timeout: 0.25s } } } }"""


def bootstrap(
    setup: Setup, modules: Mapping[str, Path], upstream: int = 1, collector: int = 1, action: str = TO_UPSTREAM
) -> str:
    """The template with these ports and what the setup asks for. JSON is YAML, too."""
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        tracing=TRACING if setup.tracer else "null",
        action=action,
        filters=json.dumps([*_filters(setup, modules), _filter("router", "Router")]),
        upstream=upstream,
        collector=collector,
    )


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
