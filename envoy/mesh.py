#!/usr/bin/env python3
"""Runs Tracewarden's demo mesh on loopback: one Envoy with the filter, and three applications behind it.

`make envoy-up`, `make envoy-status`, `make envoy-traces` and `make envoy-down` call this. Ports count from one base
port: +0 the edge, +1 to +6 the services' listeners, +7 to +9 the applications, +10 and +11 a collector of spans, +12 the
trace health page.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Callable, NoReturn, Optional

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATE = REPOSITORY / "envoy" / "envoy.yaml"

HOST = "127.0.0.1"
DEFAULT_PORT = 10000
DEFAULT_ADMIN_PORT = 9901
DEFAULT_MODULE = "target/tracewarden.wasm"
PAGE = "envoy/report/index.html"
DEFAULT_COLLECTOR = ".venv/collector/rotel-agent"

# What listens on each port, counted from the base port.
PORTS = (
    "the edge listener",
    "checkout's inbound listener",
    "checkout's outbound listener",
    "lossy's inbound listener",
    "lossy's outbound listener",
    "mangler's inbound listener",
    "mangler's outbound listener",
    "the application checkout",
    "the application lossy",
    "the application mangler",
    "the collector of spans",
    "the collector of spans, for gRPC,",
    "the trace health page",
)
COLLECTOR_HTTP, COLLECTOR_GRPC, REPORT = 10, 11, 12
APPLICATION_PORTS = (7, 8, 9)

COUNTERS_PATH = "/stats/prometheus?filter=tracewarden_"

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.2
REQUEST_SECONDS = 2.0
LOG_LINES = 15

EXIT_NOT_RUNNING = 3


class MeshError(Exception):
    """Something the user can act on; its text is all that is printed."""


# --- processes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """A process that we started. A pid is reused one day; a pid and a start time are not."""

    name: str
    pid: int
    started: str

    def runs(self) -> bool:
        started = start_time(self.pid)
        if started is None:
            return False
        # ps computes the start from the clock, and is a second off now and then.
        return abs(started - datetime.fromisoformat(self.started)) <= timedelta(seconds=2)


def start_time(pid: int) -> Optional[datetime]:
    """When the process started, or None where no such process runs."""
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MeshError("needs the command `ps` (Debian: apt-get install procps)") from None
    fields = answer.stdout.split()
    # A zombie has ended; only its parent has not looked yet.
    if len(fields) != 6 or fields[0].startswith("Z"):
        return None
    return datetime.strptime(" ".join(fields[1:]), "%a %b %d %H:%M:%S %Y")


def stop(process: Process) -> str:
    """Ends the process, and tells how that went."""
    if not process.runs():
        return f"{process.name} (pid {process.pid}) had ended already"
    for name, number in (("SIGTERM", signal.SIGTERM), ("SIGKILL", signal.SIGKILL)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if not process.runs():
                return f"stopped {process.name} (pid {process.pid}, {name})"
            time.sleep(POLL_SECONDS)
    raise MeshError(f"{process.name} (pid {process.pid}) does not end, not even after SIGKILL")


# --- what a run directory remembers ----------------------------------------------------------------------


@dataclass(frozen=True)
class Mesh:
    """The mesh that was started in a run directory."""

    port: int
    admin_port: int
    processes: tuple[Process, ...]

    def runs(self) -> bool:
        return bool(self.processes) and all(process.runs() for process in self.processes)


class RunDirectory:
    """Where the mesh keeps its rendered configuration, its logs and the note of what it started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "envoy.yaml"
        self.envoy_log = path / "envoy.log"
        self.access_log = path / "access.log"
        self.demo_log = path / "demo.log"
        self.collector_log = path / "collector.log"
        self.spans_log = path / "spans.log"
        self._state = path / "mesh.json"

    def load(self) -> Optional[Mesh]:
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            processes = tuple(Process(**process) for process in state["processes"])
            return Mesh(int(state["port"]), int(state["admin_port"]), processes)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise MeshError(f"cannot read {self._state} ({error}); remove it once no demo mesh runs") from error

    def save(self, mesh: Mesh) -> None:
        draft = self._state.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(mesh), indent=2) + "\n", encoding="utf-8")
        draft.replace(self._state)

    def stop_all(self) -> list[str]:
        """Stops what was started here, last first, and forgets it."""
        mesh = self.load()
        if mesh is None:
            return []
        told = [stop(process) for process in reversed(mesh.processes)]
        self._state.unlink()
        return told


# --- before the start ------------------------------------------------------------------------------------


def find_envoy(wanted: str) -> tuple[str, str]:
    """The Envoy to run, and its version."""
    path = shutil.which(wanted)
    if path is None:
        raise MeshError(f"{wanted} is not an executable Envoy; set ENVOY to one, or leave it unset for a private one")
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeshError(f"cannot run {path} --version: {error}") from error
    found = re.search(r"version: [0-9a-f]+/(\d+\.\d+\.\d+[^/]*)/", answer.stdout)
    if answer.returncode != 0 or found is None:
        said = (answer.stdout + answer.stderr).strip().splitlines()
        raise MeshError(f"{path} does not look like Envoy: --version says {said[0] if said else 'nothing'!r}")
    return path, found.group(1)


def require_file(path: Path, hint: str) -> Path:
    if not path.is_file():
        raise MeshError(f"{path} is not there; {hint}")
    return path.resolve()


def obstacle(port: int) -> Optional[str]:
    """Why we could not listen on the port. To bind is not enough to know: Envoy shares its ports (SO_REUSEPORT)."""
    if accepts(port):
        return "in use"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A connection that lingers after an earlier mesh is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return "in use" if error.errno == errno.EADDRINUSE else f"not to be had ({error.strerror})"
    return None


def check_ports(port: int, admin_port: int) -> None:
    last = port + len(PORTS) - 1
    if last > 65535:
        raise MeshError(f"the mesh needs the ports {port} to {last}; set ENVOY_PORT to {65536 - len(PORTS)} or less")
    if port <= admin_port <= last:
        raise MeshError(f"admin port {admin_port} lies among the mesh's ports {port} to {last}; set ENVOY_ADMIN_PORT")
    needs = [(port + offset, what, "ENVOY_PORT") for offset, what in enumerate(PORTS)]
    needs.append((admin_port, "Envoy's admin endpoint", "ENVOY_ADMIN_PORT"))
    problems, variables = [], []
    for number, what, variable in needs:
        why = obstacle(number)
        if why is not None:
            problems.append(f"port {number}, which {what} needs, is {why}")
            variables.append(variable)
    if "ENVOY_PORT" in variables:
        problems.append(f"set ENVOY_PORT to the first of {len(PORTS)} free ports in a row, now {port}")
    if "ENVOY_ADMIN_PORT" in variables:
        problems.append(f"set ENVOY_ADMIN_PORT to a free port, now {admin_port}")
    if problems:
        raise MeshError("\n  ".join(problems))


def render(template: str, port: int, admin_port: int, module: Path) -> str:
    """The template with these ports, this module and the page; refuses a template that lacks one of their places."""
    ports = {DEFAULT_PORT + offset: port + offset for offset in range(len(PORTS))}
    # The demo sends spans over HTTP alone.
    del ports[DEFAULT_PORT + COLLECTOR_GRPC]
    ports[DEFAULT_ADMIN_PORT] = admin_port
    files = {DEFAULT_MODULE: module, PAGE: REPOSITORY / PAGE}
    left = {f"port_value: {literal}" for literal in ports} | {f"filename: {file}" for file in files}

    def substitute(match: re.Match[str]) -> str:
        left.discard(match.group())
        if match["port"]:
            return f"port_value: {ports.get(int(match['port']), match['port'])}"
        # A JSON string is a YAML string, whatever the path has in it.
        return f"filename: {json.dumps(str(files[match['file']]))}"

    places = rf"port_value: (?P<port>\d+)\b|filename: (?P<file>{'|'.join(map(re.escape, files))})"
    rendered = re.sub(places, substitute, template)
    if left:
        raise MeshError(f"{TEMPLATE} lacks {', '.join(sorted(left))}: it and mesh.py no longer fit together")
    return rendered


# --- up --------------------------------------------------------------------------------------------------


class Launch:
    """The processes of one start, so that a failed one leaves nothing behind."""

    def __init__(self, run: RunDirectory, port: int, admin_port: int) -> None:
        self._run = run
        self._mesh = Mesh(port, admin_port, ())
        self._children: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def start(self, name: str, command: list[str], out: Path, err: Path) -> int:
        with out.open("wb") as stdout, err.open("ab" if err == out else "wb") as stderr:
            # In a session of its own, it outlives make and its terminal.
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )
        self._children.append((name, child, err))
        started = start_time(child.pid)
        if started is not None:
            process = Process(name, child.pid, started.isoformat())
            self._mesh = Mesh(self._mesh.port, self._mesh.admin_port, (*self._mesh.processes, process))
            self._run.save(self._mesh)
        return child.pid

    def wait_until_ready(self) -> float:
        """Waits for everything to answer; returns the seconds it took."""
        checks: dict[str, Callable[[], bool]] = {"Envoy": partial(is_ready, self._mesh.admin_port)}
        # A connection and no request: a request would be counted.
        collects = any(name == "collector" for name, _, _ in self._children)
        for offset in (0, *APPLICATION_PORTS, *((COLLECTOR_HTTP,) if collects else ())):
            checks[PORTS[offset]] = partial(accepts, self._mesh.port + offset)
        begin = told = time.monotonic()
        while True:
            for name, child, log in self._children:
                if child.poll() is not None:
                    raise MeshError(f"{name} ended with status {child.returncode}; {log} says:\n{excerpt(log)}")
            waiting = [what for what, check in checks.items() if not check()]
            now = time.monotonic()
            if not waiting:
                return now - begin
            if now - begin > READY_SECONDS:
                log = self._run.envoy_log
                raise MeshError(
                    f"not ready after {READY_SECONDS:.0f} s: {', '.join(waiting)}; {log} says:\n{excerpt(log)}"
                )
            if now - told > 1:
                print(".", end="", flush=True)
                told = now
            time.sleep(POLL_SECONDS)

    def abandon(self) -> None:
        for _, child, _ in reversed(self._children):
            child.terminate()
        for _, child, _ in reversed(self._children):
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._run.stop_all()


def accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=REQUEST_SECONDS):
            return True
    except OSError:
        return False


def admin_get(admin_port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, admin_port, timeout=REQUEST_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def is_ready(admin_port: int) -> bool:
    try:
        return admin_get(admin_port, "/ready")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def excerpt(log: Path) -> str:
    """The last lines of a log, and before them what Tracewarden complained about."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"  ({error})"
    cut = max(0, len(lines) - LOG_LINES)
    complaints = [line for line in lines[:cut] if "tracewarden" in line and re.search(r"\[(error|critical)\]", line)]
    return "\n".join(f"  {line}" for line in complaints[-LOG_LINES:] + lines[cut:]) or "  (nothing)"


def up(arguments: argparse.Namespace, run: RunDirectory) -> int:
    envoy, version = find_envoy(arguments.envoy)
    module = require_file(arguments.module, "`make build` makes it")
    demo = require_file(arguments.demo, "`cargo build --release -p tracewarden-demo` makes it")
    if start_time(os.getpid()) is None:
        raise MeshError("needs a `ps` that knows -o stat=,lstart= -p (Debian: apt-get install procps)")
    collector = arguments.collector if arguments.collector.is_file() else None
    if collector is None:
        print(f"No collector at {shown(arguments.collector)}: the mesh drops its spans, and counts them.")
    run.path.mkdir(parents=True, exist_ok=True)
    for line in run.stop_all():
        print(f"Restarting: {line}")
    port, admin_port = arguments.port, arguments.admin_port
    check_ports(port, admin_port)
    run.config.write_text(render(TEMPLATE.read_text(encoding="utf-8"), port, admin_port, module), encoding="utf-8")

    launch = Launch(run, port, admin_port)
    print(f"Starting the demo mesh with Envoy {version} ", end="", flush=True)
    try:
        if collector is not None:
            launch.start("collector", collector_command(collector, port), run.spans_log, run.collector_log)
        launch.start("tracewarden-demo", [str(demo), "--base-port", str(port)], run.demo_log, run.demo_log)
        command = [envoy, "-c", str(run.config), "--disable-hot-restart", "--concurrency", "2"]
        command += ["--log-level", "warning", "--component-log-level", "wasm:info"]
        # The access log is there when the curl command returns, or nearly so.
        command += ["--file-flush-interval-msec", "200"]
        pid = launch.start("Envoy", command, run.access_log, run.envoy_log)
        seconds = launch.wait_until_ready()
    except BaseException:
        print("failed")
        launch.abandon()
        raise
    print(f"ready after {seconds:.1f} s (pid {pid})\n")
    print(what_to_try(port, admin_port, run))
    return 0


def collector_command(collector: Path, port: int) -> list[str]:
    """Prints every span, and keeps none."""
    command = [str(collector), "start", "--otlp-http-endpoint", f"{HOST}:{port + COLLECTOR_HTTP}"]
    command += ["--otlp-grpc-endpoint", f"{HOST}:{port + COLLECTOR_GRPC}", "--exporter", "blackhole"]
    return [*command, "--debug-log", "traces", "--debug-log-verbosity", "detailed"]


def what_to_try(port: int, admin_port: int, run: RunDirectory) -> str:
    edge = f"http://{HOST}:{port}"
    return f"""\
  curl {edge}/checkout   # forwards the trace context
  curl {edge}/lossy      # forgets it on its way out
  curl {edge}/mangler    # corrupts it on its way out

  make envoy-status   # what Tracewarden counted
  make envoy-traces   # the spans of each request
  make envoy-down     # stops the mesh

  page       http://{HOST}:{port + REPORT}/
  counters   http://{HOST}:{admin_port}{COUNTERS_PATH}
  each hop   {shown(run.access_log)}
  Envoy log  {shown(run.envoy_log)}"""


def shown(path: Path) -> str:
    """The path as a person here would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


# --- down ------------------------------------------------------------------------------------------------


def down(_: argparse.Namespace, run: RunDirectory) -> int:
    told = run.stop_all()
    for line in told:
        print(line)
    if not told:
        print(f"No demo mesh runs from {shown(run.path)}.")
    return 0


# --- status ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """One line of Envoy's Prometheus page."""

    name: str
    labels: dict[str, str]
    value: float


REQUESTS = "tracewarden_requests_total"

MEANINGS: tuple[tuple[str, dict[str, str], str], ...] = (
    (REQUESTS, {"direction": "outbound", "context": "lost"},
     "an application behind this Envoy made a call without context"),
    (REQUESTS, {"direction": "inbound", "context": "lost"},
     "a caller of this Envoy sent no context where one was due"),
    (REQUESTS, {"direction": "outbound", "context": "corrupt"},
     "an application behind this Envoy made a call with a broken context"),
    (REQUESTS, {"direction": "inbound", "context": "corrupt"},
     "a caller of this Envoy sent a broken context"),
    ("tracewarden_bypassed_total", {},
     "the configuration was refused: everything passes, nothing is counted"),
    ("tracewarden_host_errors_total", {},
     "Envoy refused a call that the filter made; its log says more"),
)  # fmt: skip


def meaning(series: Series) -> Optional[str]:
    for name, labels, text in MEANINGS:
        if series.name == name and labels.items() <= series.labels.items():
            return text
    return None


def parse_series(page: str) -> list[Series]:
    """Tracewarden's series that are not zero, without the buckets of histograms and which build it is."""
    found = []
    for line in page.splitlines():
        match = re.fullmatch(r"(tracewarden_\w+)(?:\{(.*)\})? (\S+)", line)
        if match is None or match[1].endswith(("_bucket", "_build_info")) or float(match[3]) == 0:
            continue
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        found.append(Series(match[1], labels, float(match[3])))
    return found


def table(every: list[Series]) -> str:
    if not every:
        return "Tracewarden has counted nothing yet."
    blocks = []
    names = sorted({series.name for series in every}, key=lambda name: (name != REQUESTS, name))
    for name in names:
        group = [series for series in every if series.name == name]
        labels = list(dict.fromkeys(label for series in group for label in series.labels))
        rows = [[*labels, "count"]]
        rows += [[*(series.labels.get(label, "") for label in labels), f"{series.value:.15g}"] for series in group]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [name]
        for row, text in zip(rows, [None, *map(meaning, group)]):
            cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths)]
            line = "  " + "  ".join([*cells, row[-1].rjust(widths[-1])])
            lines.append(f"{line}  <- {text}" if text else line)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def status(arguments: argparse.Namespace, run: RunDirectory) -> int:
    mesh = run.load()
    if mesh is None or not mesh.runs():
        ended = [process.name for process in mesh.processes if not process.runs()] if mesh else []
        if arguments.json:
            print(json.dumps({"running": False, "ended": ended}))
        elif ended:
            print(f"The demo mesh is down: {' and '.join(ended)} ended; {shown(run.path)} has the logs.")
        else:
            print("The demo mesh is not running; `make envoy-up` starts it.")
        return EXIT_NOT_RUNNING
    try:
        code, page = admin_get(mesh.admin_port, COUNTERS_PATH)
    except (OSError, http.client.HTTPException) as error:
        raise MeshError(f"Envoy's admin endpoint {HOST}:{mesh.admin_port} does not answer: {error}") from error
    if code != 200:
        raise MeshError(f"Envoy's admin endpoint answered {code} to {COUNTERS_PATH}")
    every = parse_series(page)
    if arguments.json:
        report: dict[str, Any] = {"running": True, **asdict(mesh), "series": [asdict(series) for series in every]}
        print(json.dumps(report, indent=2))
        return 0
    # `make envoy-status | head` is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    pids = ", ".join(f"{process.name} {process.pid}" for process in mesh.processes)
    last = mesh.port + len(PORTS) - 1
    print(f"The demo mesh runs: edge {HOST}:{mesh.port} (its ports end at {last}), admin {HOST}:{mesh.admin_port}")
    print(f"Processes: {pids}\n")
    print(table(every))
    if any(series.name == REQUESTS and meaning(series) for series in every):
        print(f"\n{shown(run.access_log)} has a line for every hop, with what came in there.")
    return 0


# --- traces ----------------------------------------------------------------------------------------------


@dataclass
class Span:
    """A span as the collector prints it."""

    service: str
    fields: dict[str, str]

    def number(self, field: str) -> int:
        return int(self.fields.get(field, "0"))

    def line(self) -> str:
        fields = self.fields
        kind = fields.get("Kind", "").removeprefix("SPAN_KIND_").lower()
        what = fields.get("url.full") or fields.get("url.path", "")
        milliseconds = (self.number("End time") - self.number("Start time")) / 1e6
        status = fields.get("http.response.status_code", "-")
        return f"{self.service} {kind}: {fields.get('Name', '')} {what} {status}, {milliseconds:.1f} ms"


def parse_spans(log: str) -> list[Span]:
    """The spans in a collector's log: lines of `name: value`, attributes as `-> name: Type(value)`."""
    spans: list[Span] = []
    service = "?"
    for line in log.splitlines():
        name, _, value = (part.strip() for part in line.strip().removeprefix("-> ").partition(":"))
        if line.startswith("ResourceSpans #"):
            fields: dict[str, str] = {}
        elif name == "service.name":
            service = inside(value)
        elif line.startswith("Span #"):
            fields = {}
            spans.append(Span(service, fields))
        elif spans and name:
            fields[name] = inside(value)
    return spans


def inside(value: str) -> str:
    """`200` of `Int(200)`."""
    match = re.fullmatch(r"[A-Z]\w*\((.*)\)", value)
    return match[1] if match else value


def trees(spans: list[Span]) -> str:
    by_trace: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.number("Start time")):
        by_trace.setdefault(span.fields.get("Trace ID", "?"), []).append(span)
    lines = []
    for trace_id, members in by_trace.items():
        ids = {span.fields.get("ID") for span in members}
        lines.append(f"trace {trace_id}, {len(members)} spans")
        for root in members:
            if root.fields.get("Parent ID") not in ids:
                lines += branch(root, members, 1)
        lines.append("")
    return "\n".join(lines)


def branch(span: Span, members: list[Span], depth: int) -> list[str]:
    lines = ["  " * depth + span.line()]
    for child in members:
        if child.fields.get("Parent ID") == span.fields.get("ID"):
            lines += branch(child, members, depth + 1)
    return lines


def traces(_: argparse.Namespace, run: RunDirectory) -> int:
    log = run.spans_log
    spans = parse_spans(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else []
    if not spans:
        print("No span has arrived; spans take a second. `make envoy-up` starts the mesh.")
        return EXIT_NOT_RUNNING
    print(trees(spans))
    return 0



# --- command line ----------------------------------------------------------------------------------------


def port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def absolute(text: str) -> Path:
    return Path(text).absolute()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--run-dir", type=absolute, default=REPOSITORY / "target" / "mesh", metavar="DIR",
        help="where logs and state are kept (default: target/mesh)",
    )  # fmt: skip

    starting = commands.add_parser("up", parents=[common], help="start the mesh, or restart it")
    starting.add_argument(
        "--envoy", default=os.environ.get("ENVOY") or "envoy", metavar="PATH",
        help="the Envoy to run (default: $ENVOY, else envoy)",
    )  # fmt: skip
    starting.add_argument(
        "--module", type=absolute, default=REPOSITORY / DEFAULT_MODULE, metavar="FILE",
        help=f"the filter (default: {DEFAULT_MODULE})",
    )  # fmt: skip
    starting.add_argument(
        "--demo", type=absolute, default=REPOSITORY / "target" / "release" / "tracewarden-demo", metavar="FILE",
        help="the applications (default: target/release/tracewarden-demo)",
    )  # fmt: skip
    starting.add_argument(
        "--collector", type=absolute, default=REPOSITORY / DEFAULT_COLLECTOR, metavar="FILE",
        help=f"rotel, where spans go; without it they are dropped (default: {DEFAULT_COLLECTOR})",
    )  # fmt: skip
    starting.add_argument(
        "--port", type=port_number, default=os.environ.get("ENVOY_PORT") or DEFAULT_PORT, metavar="PORT",
        help=f"the first of {len(PORTS)} ports (default: $ENVOY_PORT, else {DEFAULT_PORT})",
    )  # fmt: skip
    starting.add_argument(
        "--admin-port", type=port_number, default=os.environ.get("ENVOY_ADMIN_PORT") or DEFAULT_ADMIN_PORT,
        metavar="PORT", help=f"Envoy's admin port (default: $ENVOY_ADMIN_PORT, else {DEFAULT_ADMIN_PORT})",
    )  # fmt: skip
    starting.set_defaults(action=up)

    stopping = commands.add_parser("down", parents=[common], help="stop the mesh")
    stopping.set_defaults(action=down)

    showing = commands.add_parser(
        "traces", parents=[common], help="show the traces whose spans have arrived at the collector, the last one last"
    )
    showing.set_defaults(action=traces)

    telling = commands.add_parser(
        "status", parents=[common],
        help=f"tell whether the mesh runs (exit status {EXIT_NOT_RUNNING} if not) and what Tracewarden counted",
    )  # fmt: skip
    telling.add_argument("--json", action="store_true", help="for programs")
    telling.set_defaults(action=status)
    return parser.parse_args()


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    arguments = parse_arguments()
    # A terminated start cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, interrupt)
    try:
        code: int = arguments.action(arguments, RunDirectory(arguments.run_dir))
        return code
    except MeshError as error:
        print(f"mesh.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mesh.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
