"""Servers that behave badly, for the lab: `hang PORT` accepts and never answers, `delay PORT SECONDS ADDRESS TARGET` forwards
what comes after a while, `files PORT DIRECTORY` serves files."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler
from socketserver import ThreadingTCPServer


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()


async def delay(seconds: float, address: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(seconds)
    far_reader, far_writer = await asyncio.open_connection(address, port)
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def serve(port: int, answer) -> None:
    async with await asyncio.start_server(answer, "", port) as server:
        await server.serve_forever()


def main() -> None:
    kind, port, *more = sys.argv[1:]
    if kind == "files":
        ThreadingTCPServer(("", int(port)), partial(SimpleHTTPRequestHandler, directory=more[0])).serve_forever()
    elif kind == "delay":
        asyncio.run(serve(int(port), partial(delay, float(more[0]), more[1], int(more[2]))))
    else:
        asyncio.run(serve(int(port), hang))


if __name__ == "__main__":
    main()
