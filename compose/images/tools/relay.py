"""Brings connections of containers to sockets of the host's, without a port of the host's.

usage: relay.py PORT=SOCKET...

Listens on every network by itself: the address that containers connect to, 169.254.169.254, is on all of them, and
who asks has an address that says nothing about the network. Before its own bytes a connection has a line of the PROXY
protocol, version 1, that says where it came from.
"""

import asyncio
import contextlib
import socket
import sys

BACKLOG = 512


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way, to their end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    """Carry a connection's bytes to the socket and back."""
    source, target = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    try:
        far_reader, far_writer = await asyncio.open_unix_connection(path)
    except OSError:
        writer.transport.abort()
        return
    far_writer.write(f"PROXY TCP4 {source[0]} {target[0]} {source[1]} {target[1]}\r\n".encode())
    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
    far_writer.close()
    writer.close()


def listening(interface: str, port: int) -> socket.socket:
    """A socket that answers on one network only, whatever the routes say."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    made.bind(("0.0.0.0", port))
    return made


async def main(pairs: list[str]) -> None:
    """Serve until killed."""
    for pair in pairs:
        port, _, path = pair.partition("=")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str = path) -> None:
            await carry(reader, writer, path)

        for _, interface in socket.if_nameindex():
            if interface != "lo":
                await asyncio.start_server(serve, sock=listening(interface, int(port)), backlog=BACKLOG)
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
