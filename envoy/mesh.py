#!/usr/bin/env python3
"""Runs Tracewarden's demo mesh on loopback: one Envoy with the filter, and three applications behind it.

`make envoy-up`, `make envoy-status`, `make envoy-traces` and `make envoy-down` call this. `PORTS` says what listens on
each port, counted from a base port.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

from counters import COUNTERS_PATH, REQUESTS, parse_series, table
from processes import Mesh, Process, RunDirectory, start_time
from proxy import HOST, POLL_SECONDS, Failed, accepts, ask, command_line, excerpt, exit_status, is_ready, not_read, port_number
from spans import Span, parse_spans, trees

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATE = REPOSITORY / "envoy" / "envoy.yaml"

DEFAULT_PORT = 10000
DEFAULT_ADMIN_PORT = 9901
DEFAULT_MODULE = "target/tracewarden.wasm"
BROKEN_LOG = "target/mesh/broken.log"
PAGE = "envoy/report/index.html"

APPLICATIONS = ("checkout", "lossy", "mangler")
# What listens on each port, counted from the base port.
PORTS = (
    "the edge listener",
    *(f"{name}'s {way} listener" for name in APPLICATIONS for way in ("inbound", "outbound")),
    *(f"the application {name}" for name in APPLICATIONS),
    "the collector of spans",
    "the collector of spans, for gRPC,",
    "the trace health page",
)
COLLECTOR_HTTP, COLLECTOR_GRPC, REPORT = 10, 11, 12
APPLICATION_PORTS = (7, 8, 9)

READY_SECONDS = 60.0
# How long a first span is waited for, and without how long a silence more are on their way.
SPAN_SECONDS = 10.0
SETTLED_SECONDS = 1.5

EXIT_NOT_RUNNING = 3


def find_envoy(wanted: str) -> tuple[Path, str]:
    """The Envoy to run, and its version."""
    path = shutil.which(wanted)
    if path is None:
        raise Failed(f"{wanted} is not an executable Envoy; set ENVOY to one, or leave it unset for a private one")
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"cannot run {path} --version: {error}") from error
    found = re.search(r"version: [0-9a-f]+/(\d+\.\d+\.\d+[^/]*)/", answer.stdout)
    if answer.returncode != 0 or found is None:
        said = (answer.stdout + answer.stderr).strip().splitlines()
        raise Failed(f"{path} does not look like Envoy: --version says {said[0] if said else 'nothing'!r}")
    return Path(path), found[1]


def require_file(path: Path, hint: str) -> Path:
    if not path.is_file():
        raise Failed(f"{path} is not there; {hint}")
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
            return "in use" if error.errno == errno.EADDRINUSE else f"not available ({error.strerror})"
    return None


def check_ports(port: int, admin_port: int) -> None:
    last = port + len(PORTS) - 1
    if last > 65535:
        raise Failed(f"the mesh needs the ports {port} to {last}; set ENVOY_PORT to {65536 - len(PORTS)} or less")
    if port <= admin_port <= last:
        raise Failed(f"admin port {admin_port} lies among the mesh's ports {port} to {last}; set ENVOY_ADMIN_PORT")
    way_out = f"set ENVOY_PORT to the first of {len(PORTS)} free ports in a row, now {port}"
    needs = [(port + offset, what, way_out) for offset, what in enumerate(PORTS)]
    needs.append((admin_port, "Envoy's admin endpoint", f"set ENVOY_ADMIN_PORT to a free port, now {admin_port}"))
    problems, ways_out = [], []
    for number, what, way_out in needs:
        why = obstacle(number)
        if why is not None:
            problems.append(f"port {number}, which {what} needs, is {why}")
            ways_out.append(way_out)
    if problems:
        raise Failed("\n  ".join([*problems, *dict.fromkeys(ways_out)]))


def render(template: str, port: int, admin_port: int, module: Path, broken_log: Path) -> str:
    """The template with these ports, this module, the page and the log of broken calls; refuses a template that lacks one of their places."""
    ports = {DEFAULT_PORT + offset: port + offset for offset in range(len(PORTS))}
    # The demo sends spans over HTTP alone.
    del ports[DEFAULT_PORT + COLLECTOR_GRPC]
    ports[DEFAULT_ADMIN_PORT] = admin_port
    files = {DEFAULT_MODULE: module, PAGE: REPOSITORY / PAGE}
    places = {f"port_value: {default}": f"port_value: {number}" for default, number in ports.items()}
    # A JSON string is a YAML string, whatever the path has in it.
    places.update({f"filename: {default}": f"filename: {json.dumps(str(file))}" for default, file in files.items()})
    places[f"path: {BROKEN_LOG}"] = f"path: {json.dumps(str(broken_log))}"
    pattern = rf"(?:{'|'.join(map(re.escape, places))})\b"
    lacking = places.keys() - re.findall(pattern, template)
    if lacking:
        raise Failed(f"{TEMPLATE} lacks {', '.join(sorted(lacking))}: it and mesh.py no longer fit together")
    return re.sub(pattern, lambda place: places[place.group()], template)


class Launch:
    """The processes of one start, so that a failed one leaves nothing behind."""

    def __init__(self, run: RunDirectory, port: int, admin_port: int) -> None:
        self._run = run
        self._mesh = Mesh(port, admin_port)
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
            self._mesh = replace(self._mesh, processes=(*self._mesh.processes, process))
            self._run.save(self._mesh)
        return child.pid

    def wait_until_ready(self) -> float:
        """Waits for everything to answer; returns the seconds it took."""
        checks: dict[str, Callable[[], bool]] = {"Envoy": partial(is_ready, f"{HOST}:{self._mesh.admin_port}")}
        # A connection and no request: a request would be counted.
        collects = any(name == "collector" for name, _, _ in self._children)
        for offset in (0, *APPLICATION_PORTS, *((COLLECTOR_HTTP,) if collects else ())):
            checks[PORTS[offset]] = partial(accepts, self._mesh.port + offset)
        begin = told = time.monotonic()
        while True:
            for name, child, log in self._children:
                if child.poll() is not None:
                    raise Failed(f"{name} ended with status {child.returncode}; {log} says:\n{excerpt(log)}")
            waiting = [what for what, check in checks.items() if not check()]
            now = time.monotonic()
            if not waiting:
                return now - begin
            if now - begin > READY_SECONDS:
                log = self._run.envoy_log
                what = ", ".join(waiting)
                raise Failed(f"not ready after {READY_SECONDS:.0f} s: {what}; {log} says:\n{excerpt(log)}")
            if now - told > 1:
                print(".", end="", flush=True)
                told = now
            time.sleep(POLL_SECONDS)

    def abandon(self) -> None:
        # One that the run directory does not know yet is ended, too.
        for _, child, _ in reversed(self._children):
            child.terminate()
        self._run.stop_all()


def up(arguments: argparse.Namespace, run: RunDirectory) -> int:
    envoy, version = find_envoy(arguments.envoy)
    module = require_file(arguments.module, "`make build` makes it")
    demo = require_file(arguments.demo, "the repository has it as envoy/demo.py")
    if start_time(os.getpid()) is None:
        raise Failed("needs a `ps` that knows -o stat=,lstart= -p (Debian: apt-get install procps)")
    if not arguments.collector.is_file():
        print(f"No collector at {shown(arguments.collector)}: the mesh drops its spans, and counts them.")
    run.path.mkdir(parents=True, exist_ok=True)
    for line in run.stop_all():
        print(f"Restarting: {line}")
    port, admin_port = arguments.port, arguments.admin_port
    check_ports(port, admin_port)
    run.broken_log.unlink(missing_ok=True)
    run.config.write_text(render(TEMPLATE.read_text("utf-8"), port, admin_port, module, run.broken_log), "utf-8")

    launch = Launch(run, port, admin_port)
    print(f"Starting the demo mesh with Envoy {version} ", end="", flush=True)
    try:
        if arguments.collector.is_file():
            command = collector_command(arguments.collector.resolve(), port)
            launch.start("collector", command, run.spans_log, run.path / "collector.log")
        command = [sys.executable, "-B", str(demo), "--base-port", str(port)]
        launch.start("tracewarden-demo", command, run.path / "demo.log", run.path / "demo.log")
        # The access log is there when the curl command returns, or nearly so.
        more = ("--component-log-level", "wasm:info", "--file-flush-interval-msec", "200")
        pid = launch.start("Envoy", command_line(envoy, run.config, 2, *more), run.access_log, run.envoy_log)
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
  forwards the trace context    curl {edge}/checkout
  forgets it on its way out     curl {edge}/lossy
  corrupts it on its way out    curl {edge}/mangler

  what Tracewarden counted      make envoy-status
  the spans of each request     make envoy-traces
  stops the mesh                make envoy-down

  page       http://{HOST}:{port + REPORT}/
  counters   http://{HOST}:{admin_port}{COUNTERS_PATH}
  each hop   {shown(run.access_log)}
  broken     {shown(run.broken_log)}
  Envoy log  {shown(run.envoy_log)}"""


def shown(path: Path) -> str:
    """The path as a person here would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def down(_: argparse.Namespace, run: RunDirectory) -> int:
    print("\n".join(run.stop_all()) or f"No demo mesh runs from {shown(run.path)}.")
    return 0


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
    admin = f"{HOST}:{mesh.admin_port}"
    every = parse_series(ask(admin, COUNTERS_PATH))
    if arguments.json:
        report = {"running": True, **asdict(mesh), "series": [asdict(series) for series in every]}
        print(json.dumps(report, indent=2))
        return 0
    pids = ", ".join(f"{process.name} {process.pid}" for process in mesh.processes)
    last = mesh.port + len(PORTS) - 1
    print(f"The demo mesh runs: edge {HOST}:{mesh.port} (its ports end at {last}), admin {admin}")
    print(f"Processes: {pids}\n")
    print(table(every))
    if any(series.name == REQUESTS and series.meaning() for series in every):
        print(f"\n{shown(run.access_log)} has a line for every hop, with what came in there.")
    return 0


def traces(_: argparse.Namespace, run: RunDirectory) -> int:
    mesh = run.load()
    is_collecting = mesh is not None and any(process.name == "collector" and process.runs() for process in mesh.processes)
    deadline = time.monotonic() + (SPAN_SECONDS if is_collecting else 0)
    spans = settled_spans(run.spans_log)
    while spans is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        spans = settled_spans(run.spans_log)
    spans = spans or arrived_spans(run.spans_log)
    if not spans:
        what = "send the mesh a request first" if is_collecting else "`make envoy-up` starts the mesh"
        print(f"No span has arrived in {shown(run.spans_log)}: {what}.")
        return EXIT_NOT_RUNNING
    print(trees(spans))
    return 0


def arrived_spans(log: Path) -> list[Span]:
    return parse_spans(log.read_text("utf-8", "replace")) if log.is_file() else []


def settled_spans(log: Path) -> Optional[list[Span]]:
    """The spans, if there are some and no more came lately: the hops of one request send theirs within a second."""
    is_settled = log.is_file() and time.time() - log.stat().st_mtime > SETTLED_SECONDS
    return arrived_spans(log) or None if is_settled else None


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(action: Callable[[argparse.Namespace, RunDirectory], int], what: str) -> argparse.ArgumentParser:
        added = commands.add_parser(action.__name__, help=what)
        added.set_defaults(action=action)
        file(added, "--run-dir", "target/mesh", "where logs and state are kept", "DIR")
        return added

    def file(to: argparse.ArgumentParser, option: str, default: str, what: str, metavar: str = "FILE") -> None:
        what = f"{what} (default: {default})"
        to.add_argument(option, type=Path, default=REPOSITORY / default, metavar=metavar, help=what)

    def variable(option: str, name: str, default: object, what: str, **more: Any) -> None:
        what = f"{what} (default: ${name}, else {default})"
        starting.add_argument(option, default=os.environ.get(name) or default, help=what, **more)

    starting = command(up, "start the mesh, or restart it")
    variable("--envoy", "ENVOY", "envoy", "the Envoy to run", metavar="PATH")
    file(starting, "--module", DEFAULT_MODULE, "the filter")
    file(starting, "--demo", "envoy/demo.py", "the applications, a Python program")
    what = "rotel, where spans go; without it they are dropped"
    file(starting, "--collector", ".venv/collector/rotel-agent", what)
    port = {"type": port_number, "metavar": "PORT"}
    variable("--port", "ENVOY_PORT", DEFAULT_PORT, f"the first of {len(PORTS)} ports", **port)
    variable("--admin-port", "ENVOY_ADMIN_PORT", DEFAULT_ADMIN_PORT, "Envoy's admin port", **port)

    command(down, "stop the mesh")
    command(traces, "show the traces whose spans have arrived at the collector, the last one last")
    what = f"say whether the mesh runs (exit status {EXIT_NOT_RUNNING} if not) and what Tracewarden counted"
    command(status, what).add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    return not_read(lambda: arguments.action(arguments, RunDirectory(arguments.run_dir)))


if __name__ == "__main__":
    sys.exit(exit_status("mesh.py", main))
