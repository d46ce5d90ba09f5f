"""The first process of the lab: it makes the bridge, and forwards what a person opens. When it ends, the kernel ends and
removes everything in the lab: processes, interfaces, rules, mounts.

`lab.py` starts it in network, mount and process namespaces of its own, and hands it the sockets that listen on the host's
loopback: `init.py GATEWAY DIRECTORY=PLACE… -- FD=HOST@ADDRESS:PORT…`.
"""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from namespaces import socket_in

CHUNK = 64 * 1024
# The lab has its own of these, so that nothing of it appears in the host's.
PRIVATE = ("/run", "/mnt", "/var/lib")


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def furnish(gateway: str, places: list[str]) -> None:
    for directory in PRIVATE:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "lab", directory)
    # By these names every user of the lab can reach them, also if the repository is in a closed directory.
    for place in places:
        directory, name = place.split("=")
        Path(name).mkdir(parents=True)
        run("mount", "--bind", directory, name)
    # A copy, in which a workload finds its own names of hosts and its own volumes.
    run("cp", "-a", "/etc", "/mnt/etc")
    run("mount", "--bind", "/mnt/etc", "/etc")
    Path("/etc/tracewarden").mkdir()
    Path("/var/lib/istio/data").mkdir(parents=True)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "bridge")
    run("ip", "address", "add", f"{gateway}/24", "dev", "bridge")
    run("ip", "link", "set", "bridge", "up")


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def open_in(host: str, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection from one of the hosts in the lab, or from the lab itself."""
    if not host:
        return await asyncio.open_connection(address, port)
    connection = socket_in(f"/run/netns/{host}")
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (address, port))
    return await asyncio.open_connection(sock=connection)


async def forward(forwards: list[str]) -> None:
    for entry in forwards:
        number, host, address, port = re.fullmatch(r"(\d+)=(.*)@(.+):(\d+)", entry).groups()

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple = (host, address, int(port))
        ) -> None:
            try:
                far_reader, far_writer = await open_in(*target)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
            far_writer.close()
            writer.close()

        await asyncio.start_server(serve, sock=socket.socket(fileno=int(number)))
    await asyncio.Event().wait()


def main() -> None:
    arguments = sys.argv[1:]
    end = arguments.index("--")
    furnish(arguments[0], arguments[1:end])
    # Nobody here asks how the lab's orphans ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    asyncio.run(forward(arguments[end + 1 :]))


if __name__ == "__main__":
    main()
