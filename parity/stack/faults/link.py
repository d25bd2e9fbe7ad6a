"""Faults of the network: isolate, partition, delay, lose, throttle."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from docker.models.containers import Container

from parity.errors import FaultError
from parity.scenario.steps import Step
from parity.stack import launch, network
from parity.stack.engine import translated, wait_for
from parity.stack.faults.clients import clients_of, disconnect
from parity.stack.faults.live import Live, Subject

_KNOCK_S = 5.0


@contextlib.contextmanager
def isolated(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """Packets between a node and the others, the clients, or everything are dropped. The host still sees it."""
    nodes = {name: launch.address(container) for name, container in live.stack.broker.containers.items()}
    subnet, gateway = network.subnet(live.stack.network)
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            others = [address for name, address in nodes.items() if name != subject.name and address]
            cut = step.cut or "nodes"
            if cut == "nodes":
                chosen, spared = others, []
            else:
                chosen, spared = [subnet], [gateway, *(others if cut == "clients" else [])]
            _enter(undo, live, subject)
            network.drop(
                subject.container,
                addresses=chosen,
                spared=spared,
                incoming=step.direction != "out",
                outgoing=step.direction != "in",
            )
        yield _caught(subjects)


@contextlib.contextmanager
def partitioned(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The cluster's nodes are parted from one another; clients see every node."""
    addresses = {subject.name: launch.address(subject.container) for subject in subjects}
    with contextlib.ExitStack() as undo:
        hit = []
        for subject in subjects:
            unseen = _unseen(step.shape or "halves", subject.name, list(addresses))
            if unseen:
                hit.append(subject)
                _enter(undo, live, subject)
                network.drop(subject.container, addresses=[addresses[name] for name in unseen])
        if not hit:
            raise FaultError(f"{len(subjects)} nodes cannot be parted into {step.shape}")
        yield _caught(hit)


def _unseen(shape: str, name: str, names: list[str]) -> list[str]:
    """Which nodes a node no longer sees.

    `halves`: the first half of the names does not see the second, the smaller half first. `majorities-ring`: every
    node still sees a majority, each another one; of three nodes, the first and the last lose sight of each other.
    """
    count = len(names)
    place = names.index(name)
    if shape == "halves":
        half = names[: count // 2]
        return [other for other in names if (other in half) != (name in half)]
    if count <= 3:
        ends = {0: names[-1], count - 1: names[0]}
        return [ends[place]] if count > 1 and place in ends else []
    # A node sees itself and so many to either side: as few as make a majority.
    sight = (count // 2 + 1) // 2
    near = {names[(place + step) % count] for step in range(-sight, sight + 1)}
    return [other for other in names if other not in near]


@contextlib.contextmanager
def delayed(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """Everything takes longer: by the kernel's netem, or by a TCP proxy where the kernel has none."""
    assert step.by is not None
    delay_ms = round(1000 * step.by.value_s)
    description = live.stack.plan.files.description
    with contextlib.ExitStack() as undo:
        if network.kernel_has_netem(subjects[0].container):
            for subject in subjects:
                _enter(undo, live, subject)
                network.delay(subject.container, delay_ms=delay_ms)
            yield network.queued(subjects[0].container)
            return
        ports = [description.broker.amqp_port, description.database.port]
        proxies = [network.make_proxy(subject.container, delay_ms=delay_ms) for subject in subjects]
        for proxy in proxies:
            undo.enter_context(live.stack.undo.pending({"do": "remove", "container": proxy.id, "name": proxy.name}))
        for subject in subjects:
            _enter(undo, live, subject)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(_start_proxy, proxies))
            list(pool.map(lambda subject: network.redirect(subject.container, ports=ports), subjects))
        _reconnect(subjects, live)
        for subject in subjects:
            if subject.role == "node":
                _knock(launch.address(subject.container), description.broker.amqp_port)
        yield _caught(subjects, "connections through the delaying proxy", enough=any)


@contextlib.contextmanager
def lossy(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """A share of the packets is dropped at random; TCP sends them again, later."""
    assert step.percent is not None
    share = step.percent.value
    with _each(subjects, live, lambda container: network.lose(container, percent=share)):
        yield _caught(subjects)


@contextlib.contextmanager
def throttled(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """What the containers send is limited by the kernel's token bucket."""
    assert step.kbit is not None
    kbit = step.kbit.value
    with _each(subjects, live, lambda container: network.throttle(container, kbit=kbit)):
        yield _caught(subjects, "packets held back", enough=any, count=network.held_back)


@contextlib.contextmanager
def _each(subjects: list[Subject], live: Live, act: Callable[[Container], None]) -> Iterator[None]:
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            _enter(undo, live, subject)
            act(subject.container)
        yield


def _enter(undo: contextlib.ExitStack, live: Live, subject: Subject) -> None:
    entry = {"do": "clear_network", "container": subject.container.id, "name": subject.name}
    undo.enter_context(live.stack.undo.pending(entry))


def _caught(
    subjects: list[Subject],
    what: str = "packets dropped",
    *,
    enough: Callable[[Iterable[int]], bool] = all,
    count: Callable[[Container], int] = network.caught,
) -> str:
    """Wait until the rules caught something: a fault that catches nothing was never there."""

    def look() -> tuple[str | None, str]:
        counts = {subject.name: count(subject.container) for subject in subjects}
        last = ", ".join(f"{name} {count}" for name, count in counts.items())
        return (last if enough(counts.values()) else None), last

    return f"{what}: " + wait_for(f"{what} on {', '.join(s.name for s in subjects)}", look, within_s=20, every_s=0.3)


def _start_proxy(proxy: Container) -> None:
    launch.start(proxy)

    def look() -> tuple[bool | None, str]:
        with translated("read the proxy's log"):
            text = proxy.logs().decode(errors="replace")
        return (True if "listening" in text else None), text[-200:]

    wait_for("the delaying proxy", look, within_s=15, every_s=0.1)


def _knock(address: str, port: int) -> None:
    """Connect once. A node may have no client of its own, and then nothing else comes through its proxy."""
    with contextlib.suppress(OSError):
        socket.create_connection((address, port), timeout=_KNOCK_S).close()


def _reconnect(subjects: list[Subject], live: Live) -> None:
    """Close the connections that were there before the proxy: rules catch only new ones.

    A client that has none right now makes its next one through the proxy anyway.
    """
    nodes = any(subject.role == "node" for subject in subjects)
    clients = clients_of(live) if nodes else subjects
    addresses = {launch.address(client.container) for client in clients} - {""}
    disconnect(clients, live)
    live.stack.database.end_sessions(live.virtual_host, addresses)
