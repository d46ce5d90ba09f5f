"""Envoy's configuration for a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cases import HOST, Setup


def bootstrap(
    setup: Setup, modules: dict[str, Path], lua: Path, upstream: int, collector: int
) -> dict[str, Any]:
    """Envoy's configuration: one listener and the admin interface on free ports of loopback, one upstream.

    A real upstream, not a direct response: Envoy's tracer writes its header when the router makes the upstream
    request. Ours answers from this process, over one connection, so that only Envoy's work is counted.
    """
    manager: dict[str, Any] = {
        "@type": _type("filters.network.http_connection_manager", "HttpConnectionManager"),
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "bench",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                }
            ]
        },
        "http_filters": [*_filters(setup, modules, lua), _filter("router", "Router")],
    }
    clusters = [_cluster("upstream", upstream)]
    if setup.tracer:
        manager["tracing"] = {"provider": _tracer()}
        clusters.append({**_cluster("collector", collector), **_HTTP2})
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {"name": "bench", "address": _address(0), "filter_chains": [{"filters": filters}]}
    return {
        "admin": {"address": _address(0)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _filters(setup: Setup, modules: dict[str, Path], lua: Path) -> list[dict[str, Any]]:
    if setup.lua is not None:
        return [
            _filter("lua", "Lua", default_source_code={"inline_string": setup.lua + lua.read_text("utf-8")})
        ]
    if setup.module is None:
        return []
    plugin = {
        "name": setup.module,
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": setup.configuration,
        },
        "vm_config": {
            "vm_id": "bench",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(modules[setup.module])}},
        },
    }
    return [_filter("wasm", "Wasm", config=plugin)]


def _filter(kind: str, message: str, **fields: Any) -> dict[str, Any]:
    config = {"@type": _type(f"filters.http.{kind}", message), **fields}
    return {"name": f"envoy.filters.http.{kind}", "typed_config": config}


def _tracer() -> dict[str, Any]:
    return {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "grpc_service": {"envoy_grpc": {"cluster_name": "collector"}, "timeout": "0.25s"},
            "service_name": "bench",
        },
    }


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


_HTTP2 = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _type(extension: str, message: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{extension}.v3.{message}"
