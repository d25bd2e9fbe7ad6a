"""A TCP proxy that delays every byte, for kernels without netem.

usage: proxy.py PORT MARK DELAY_MS

Connections come here by a redirect rule in the same network namespace. Each goes on to where it was meant to
go, marked so that the rule lets it pass. Bytes keep their order and their spacing; each is DELAY_MS late.
"""

import asyncio
import contextlib
import socket
import struct
import sys

SO_ORIGINAL_DST = 80
SO_MARK = 36


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Where the connection was meant to go before the rule turned it to us."""
    packed = connection.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, 16)
    port, address = struct.unpack("!2xH4s8x", packed)
    return socket.inet_ntoa(address), port


async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Carry bytes from one side to the other, each a delay after it came."""
    clock = asyncio.get_running_loop().time
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1000)

    async def deliver() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not data:
                return
            writer.write(data)
            await writer.drain()

    task = asyncio.create_task(deliver())
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            await waiting.put((clock() + delay_s, data))
    await waiting.put((clock() + delay_s, b""))
    with contextlib.suppress(OSError):
        await task
    writer.close()


async def main(port: int, mark: int, delay_s: float) -> None:
    """Serve until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, wanted = original_destination(writer.get_extra_info("socket"))
        onward = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        onward.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        onward.setblocking(False)
        try:
            await asyncio.sleep(delay_s)
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(onward, (host, wanted)), 10)
        except OSError:
            onward.close()
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(sock=onward)
        await asyncio.gather(late(reader, far_writer, delay_s), late(far_reader, writer, delay_s))

    server = await asyncio.start_server(serve, "0.0.0.0", port)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000))
