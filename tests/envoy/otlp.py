"""Reads uploads with OTLP's official definitions, and prints each as OTLP's JSON on a line; refuses what they do not know.

usage: otlp.py FILE...
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


def main() -> None:
    for name in sys.argv[1:]:
        bytes = Path(name).read_bytes()
        upload = ExportTraceServiceRequest()
        upload.ParseFromString(bytes)
        # Bytes that mean the same but are written otherwise would hide a field of another type.
        if len(UnknownFieldSet(upload)) or upload.SerializeToString() != bytes:
            sys.exit(f"{name}: the official definitions write it otherwise")
        print(json.dumps(with_hex(MessageToDict(upload))))


def with_hex(value: Any) -> Any:
    """OTLP's JSON has ids in hexadecimal digits, that of protobuf has bytes in base64."""
    if isinstance(value, list):
        return [with_hex(item) for item in value]
    if isinstance(value, dict):
        return {name: b64decode(item).hex() if name in IDS else with_hex(item) for name, item in value.items()}
    return value


if __name__ == "__main__":
    main()
