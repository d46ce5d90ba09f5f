"""The lab: network, mount and process namespaces in which a control plane and its proxies run as on machines of their own.

The host gets no interface, route, rule or mount. It gets listeners on loopback, behind which is what a person opens.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional, Sequence

from namespaces import socket_in
from processes import STOP_SECONDS, Process, start_time
from proxy import HOST, POLL_SECONDS, Failed, excerpt

NETWORK = "10.99.0"
GATEWAY = f"{NETWORK}.1"
NEEDED = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "iptables": "iptables", "setpriv": "util-linux",
          "openssl": "openssl"}


@dataclass(frozen=True)
class Opened:
    """What a person opens: an address and a port in the lab, or in one of the hosts in it."""

    what: str
    address: str
    port: int
    host: str = ""


@dataclass(frozen=True)
class Forward:
    """A port on the host's loopback, and what is behind it."""

    port: int
    opened: Opened


@dataclass(frozen=True)
class Ports:
    """Consecutive ports on the host's loopback."""

    first: int
    opened: tuple[Opened, ...]

    def forwards(self) -> list[Forward]:
        return [Forward(self.first + at, opened) for at, opened in enumerate(self.opened)]

    def of(self, what: str) -> int:
        return next(forward.port for forward in self.forwards() if forward.opened.what == what)


def listen(forward: Forward) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, forward.port))
        listener.listen(128)
    except OSError as error:
        raise Failed(f"port {forward.port}, for {forward.opened.what}, is not to be had: {error.strerror}") from error
    return listener


def check_host() -> None:
    if os.geteuid() != 0:
        raise Failed("needs root, for network namespaces of its own: `sudo make` with the same target")
    missing = {package for program, package in NEEDED.items() if shutil.which(program) is None}
    if missing:
        raise Failed(f"needs programs that are not here (Debian: apt-get install {' '.join(sorted(missing))})")


class Lab:
    """The namespaces that one run directory's lab has, by the first process in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._state = directory / "lab.json"

    def start(self, forwards: Sequence[Forward], places: Sequence[tuple[Path, str]]) -> None:
        check_host()
        listeners = [listen(forward) for forward in forwards]
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command += [sys.executable, "-B", str(Path(__file__).with_name("init.py")), GATEWAY]
        command += [f"{path}={name}" for path, name in places] + ["--"]
        behind = [forward.opened for forward in forwards]
        command += [f"{one.fileno()}={to.host}@{to.address}:{to.port}" for one, to in zip(listeners, behind)]
        log = self.directory / "lab.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=[one.fileno() for one in listeners],
            )
        for listener in listeners:
            listener.close()
        started = start_time(child.pid)
        if started is not None:
            self._state.write_text(json.dumps(asdict(Process("lab", child.pid, started.isoformat()))), "utf-8")
        wait("the lab's first process", lambda: "ready" in log.read_text("utf-8", "replace"), 10, log, child)

    def process(self) -> Optional[Process]:
        """The process that holds the lab, if it runs."""
        try:
            process = Process(**json.loads(self._state.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise Failed(f"cannot read {self._state} ({error}); remove it once no lab runs") from error
        return process if process.runs() else None

    def stop(self) -> bool:
        """Ends everything in the lab; says whether there was one."""
        process = self.process()
        if process is None:
            self._state.unlink(missing_ok=True)
            return False
        # The kernel ends all others and their namespaces before the first process is gone.
        children = children_of(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + STOP_SECONDS
        while process.runs() or any(start_time(child) for child in children):
            if time.monotonic() > deadline:
                raise Failed(f"the lab (pid {process.pid}) does not end")
            time.sleep(POLL_SECONDS)
        self._state.unlink(missing_ok=True)
        return True

    def first(self) -> int:
        """The first process in the lab, as the host numbers it."""
        process = self.process()
        if process is None:
            raise Failed("the lab does not run")
        children = children_of(process.pid)
        if not children:
            raise Failed("the lab has no first process")
        return children[0]

    def command(self, command: Sequence[str]) -> list[str]:
        """The command that runs a command in the lab."""
        return ["nsenter", "--target", str(self.first()), "--net", "--mount", "--pid", "--", *command]

    def run(self, *command: str, text: str = "", seconds: float = 60) -> str:
        answer = subprocess.run(
            self.command(command), input=text, capture_output=True, text=True, timeout=seconds, check=False
        )
        if answer.returncode != 0:
            raise Failed(f"`{' '.join(command)}` failed:\n{answer.stdout}{answer.stderr}")
        return answer.stdout

    def add_host(self, name: str, number: int) -> None:
        """Makes a network namespace with an address on the lab's bridge."""
        inside = f"ip -n {name}"
        # Without a route a connection to a service's address fails before anything can capture it.
        self.run("sh", "-c", f"""set -e
            ip netns add {name}
            ip link add veth{number} type veth peer name eth0 netns {name}
            ip link set veth{number} master bridge up
            {inside} link set lo up
            {inside} address add {NETWORK}.{number}/24 dev eth0
            {inside} link set eth0 up
            {inside} route add default via {GATEWAY}""")  # fmt: skip

    @staticmethod
    def as_pod(host: str, volumes: dict[str, str], command: Sequence[str]) -> list[str]:
        """The command in a host's network, with directories of the lab as volumes at paths that the machine does not have."""
        root = f"/run/roots/{host}"
        mounts = "".join(f"mkdir -p {root}{path}; mount --bind {source} {root}{path}; " for path, source in volumes.items())
        script = f"""set -e
            mkdir -p {root}
            mount -t tmpfs root {root}
            for entry in /*; do
                if [ -L "$entry" ]; then cp -P "$entry" {root}
                elif [ -d "$entry" ]; then mkdir {root}$entry; mount --rbind "$entry" {root}$entry
                fi
            done
            {mounts}
            exec nsenter --net=/run/netns/{host} -- chroot {root} "$@"
        """
        return ["unshare", "--mount", "sh", "-c", script, "sh", *command]

    def spawn(self, name: str, command: Sequence[str], environment: Optional[dict[str, str]] = None) -> Program:
        """Starts a program in the lab, whose log is that of its name."""
        log = self.directory / f"{name}.log"
        with log.open("ab") as out:
            child = subprocess.Popen(
                self.command(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": "/mnt", **(environment or {})},
            )
        return Program(name, child, log)

    def connect(self, address: str, port: int, host: str = "", seconds: float = 10) -> socket.socket:
        """A connection from within the lab, or from within one of the hosts in it."""
        place = f"/proc/{self.first()}/" + (f"root/run/netns/{host}" if host else "ns/net")
        try:
            connection = socket_in(place)
        except OSError as error:
            raise Failed(f"cannot enter the network namespace {place}: {error.strerror}") from error
        connection.settimeout(seconds)
        try:
            connection.connect((address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def end(self, what: str) -> None:
        """Ends the programs in the lab whose command line has this in it."""
        subprocess.run(self.command(["pkill", "-KILL", "-f", "--", what]), check=False, timeout=20)

    def accepts(self, address: str, port: int, host: str = "") -> bool:
        with contextlib.suppress(OSError):
            self.connect(address, port, host).close()
            return True
        return False

    def ask(
        self, address: str, port: int, path: str, headers: Optional[dict[str, str]] = None, host: str = "",
        method: str = "GET", body: Optional[bytes] = None, seconds: float = 10,
    ) -> Answer:
        """What a server in the lab answers."""
        connection = http.client.HTTPConnection(address, port)
        with contextlib.closing(connection):
            connection.sock = self.connect(address, port, host, seconds)
            connection.request(method, path, body, {"accept": "*/*", **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read().decode("utf-8", "replace"))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    text: str


@dataclass(frozen=True)
class Program:
    """A program that was started in the lab."""

    name: str
    child: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Ends the program, whose signals `nsenter` does not pass on."""
        for pid in children_of(self.child.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end") from None


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


def wait(what: str, check, seconds: float, log: Optional[Path] = None, child: Optional[subprocess.Popen[bytes]] = None) -> None:
    """Waits till a check holds; the error that says it did not shows the end of a log."""
    deadline = time.monotonic() + seconds
    failure = ""
    while not failure:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if check():
                return
        if child is not None and child.poll() is not None:
            failure = f"{what} ended with status {child.returncode}"
        elif time.monotonic() > deadline:
            failure = f"{what}: not so after {seconds:.0f} s"
        else:
            time.sleep(POLL_SECONDS)
    raise Failed(f"{failure}; {log} says:\n{excerpt(log)}" if log else failure)
