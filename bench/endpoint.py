"""How fast the AWS endpoint answers, against the servers of moto and ministack, in turn in one run.

Every server is a process of its own, and is asked by the same raw HTTP client over 8 connections that are kept: boto3
itself would be the bound. Ours keeps everything on disk before it answers, and lets instances come and go on paper.
With 500 groups a description is of one group by name, or of as many as come on one page; a page of ministack has all
groups, so pages are compared by groups a second. Capacities are set from 1 to 2 and back, over all groups.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import uvloop

CONNECTIONS = 8
ROUNDS = 3
SECONDS = 2.0
GROUPS = (1, 500)
MOTO_RATIO_MIN = 3.0
MINISTACK_RATIO_MIN = 1.0
_START_S = 30
_SCOPE = "test/20260101/us-east-1/autoscaling/aws4_request"


def bench(root: Path) -> dict[str, Any]:
    """Measure; requests a second and the 99th percentile of latencies.

    Returns:
        Name, figures and bounds.
    """
    figures: dict[str, Any] = {}
    for groups in GROUPS:
        with _servers(root) as ports:
            for name, port in ports.items():
                print(f"{name}: {groups} groups")
                _fill(port, groups)
            figures[f"{groups} groups"] = _measured(ports, groups)
    return {
        "name": "endpoint",
        "figures": figures,
        "bound": {"ratio to moto": MOTO_RATIO_MIN, "ratio to ministack": MINISTACK_RATIO_MIN},
    }


def _measured(ports: dict[str, int], groups: int) -> dict[str, Any]:
    loads = {
        "set capacity": _capacities(groups),
        "describe one": _names(groups),
        "describe page": lambda: _request("DescribeAutoScalingGroups"),
    }
    figures: dict[str, Any] = {}
    for what, make in loads.items():
        tallies: dict[str, list[Tally]] = {name: [] for name in ports}
        for number in range(ROUNDS):
            # What the machine does besides drifts: none is always the first.
            names = list(ports)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                tallies[name].append(uvloop.run(_load(ports[name], make)))
        figures[what] = found = {name: _summary(tally) for name, tally in tallies.items()}
        assert found["parity"]["refused"] == 0
        rate = "groups_per_s" if what == "describe page" else "requests_per_s"
        for peer in ("moto", "ministack"):
            found[f"ratio to {peer}"] = round(found["parity"][rate] / found[peer][rate], 2)
        print(what, found)
    return figures


@dataclass
class Tally:
    """What came of one load.

    Args:
        took_s: How long it went on.
        latencies_s: Of every request.
        groups: How many groups were described.
        refused: How many requests were refused: moto's threads get into each other's way.
    """

    took_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    groups: int = 0
    refused: int = 0


def _summary(tallies: list[Tally]) -> dict[str, float]:
    ordered = sorted(latency for tally in tallies for latency in tally.latencies_s)
    return {
        "requests_per_s": round(median(len(tally.latencies_s) / tally.took_s for tally in tallies)),
        "groups_per_s": round(median(tally.groups / tally.took_s for tally in tallies)),
        "refused": sum(tally.refused for tally in tallies),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
    }


# The client.


def _request(action: str, **parameters: str | int) -> bytes:
    body = urlencode({"Action": action, "Version": "2011-01-01", **parameters}).encode()
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={_SCOPE}, SignedHeaders=host, Signature=0\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _names(groups: int) -> Callable[[], bytes]:
    requests = [
        _request("DescribeAutoScalingGroups", **{"AutoScalingGroupNames.member.1": f"group-{number}"})
        for number in range(groups)
    ]
    numbers = count()
    return lambda: requests[next(numbers) * 7 % groups]


def _capacities(groups: int) -> Callable[[], bytes]:
    requests = [
        [
            _request("SetDesiredCapacity", AutoScalingGroupName=f"group-{number}", DesiredCapacity=size)
            for size in (1, 2)
        ]
        for number in range(groups)
    ]
    numbers = count()

    def make() -> bytes:
        number = next(numbers)
        return requests[number % groups][number // groups % 2]

    return make


class Connection(asyncio.Protocol):
    """Asks one thing after the other, on one connection as long as the server keeps it: moto's does not."""

    def __init__(self, port: int, make: Callable[[], bytes], tally: Tally, until_s: float) -> None:
        self._port, self._make, self._tally, self._until_s = port, make, tally, until_s
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Ask until it is time to end."""
        self._began_s = time.perf_counter()
        await self._connect()
        await self._ended

    async def _connect(self) -> None:
        self._reply, self._length, self._kept = b"", -1, True
        await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self._transport = transport
        transport.write(self._make())

    def data_received(self, data: bytes) -> None:
        """Take what came of an answer."""
        self._reply += data
        if self._length < 0:
            head, found, _ = self._reply.partition(b"\r\n\r\n")
            if not found:
                return
            self._tally.refused += not head.startswith(b"HTTP/1.1 200")
            head = head.lower()
            self._length = len(head) + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            self._kept = b"connection: close" not in head
        if len(self._reply) >= self._length:
            self._answered()

    def _answered(self) -> None:
        now_s = time.perf_counter()
        self._tally.latencies_s.append(now_s - self._began_s)
        self._tally.groups += self._reply.count(b"</AutoScalingGroupName>")
        self._began_s = now_s
        if now_s >= self._until_s:
            self._end(None)
        elif self._kept:
            self._reply, self._length = b"", -1
            self._transport.write(self._make())
        else:
            self._transport.close()
            self._again = self._loop.create_task(self._connect())

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up within an answer is not what is measured."""
        if self._kept or exc:
            self._end(exc or ConnectionError("the server hung up"))

    def _end(self, problem: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(problem) if problem else self._ended.set_result(None)
            self._transport.close()


async def _load(port: int, make: Callable[[], bytes], seconds: float = SECONDS) -> Tally:
    tally, began_s = Tally(), time.perf_counter()
    await asyncio.gather(*(Connection(port, make, tally, began_s + seconds).run() for _ in range(CONNECTIONS)))
    tally.took_s = time.perf_counter() - began_s
    return tally


def _fill(port: int, groups: int) -> None:
    """Make groups, one after the other."""
    source = {"LaunchConfigurationName": "lc", "ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    requests = [_request("CreateLaunchConfiguration", **source)]
    requests += [
        _request(
            "CreateAutoScalingGroup",
            AutoScalingGroupName=f"group-{number}",
            LaunchConfigurationName="lc",
            MinSize=0,
            MaxSize=10,
            DesiredCapacity=2,
            **{"AvailabilityZones.member.1": "us-east-1a", "AvailabilityZones.member.2": "us-east-1b"},
        )
        for number in range(groups)
    ]

    async def fill() -> None:
        for request in requests:
            await Connection(port, lambda request=request: request, Tally(), 0.0).run()

    uvloop.run(fill())


# The servers.


@contextmanager
def _servers(root: Path) -> Iterator[dict[str, int]]:
    ports = {name: _free_port() for name in ("parity", "moto", "ministack")}
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "parity": [sys.executable, "-m", "parity.aws", "--port", str(ports["parity"]), "--state", folder],
            "moto": [str(binaries / "moto_server"), "-p", str(ports["moto"])],
            "ministack": [str(binaries / "ministack")],
        }
        environment = os.environ | {"GATEWAY_PORT": str(ports["ministack"]), "PERSIST_STATE": "0"}
        processes = [
            subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands.values()
        ]
        try:
            for port in ports.values():
                _wait(port)
            yield ports
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(_START_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    until_s = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)
        else:
            return
