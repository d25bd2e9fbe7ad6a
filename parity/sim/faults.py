"""Faults on the models: what each kind does to its subjects, and what heals it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TypeAlias

from parity.model.cluster import Node
from parity.model.database import Database
from parity.model.producer import Producer
from parity.model.scaling.world import SpotNotice
from parity.model.timeline import Process
from parity.model.worker import Worker
from parity.scenario.steps import Step
from parity.sim.world import World

Undo: TypeAlias = Callable[[], None]
#: How long a kind takes until it works, and from then until its proof: what the steps after it wait for. Both take
#: twice or four times as long where drawn; what is done by one call of the engine works in a quarter or twice the time.
#: Real: 10 ms to 2 s, and several times that on a busy machine.
#: Ours: these. Why: a schedule must not depend on how fast faults are applied. Source: the histories of 268 runs on
#: containers.
_TIMES_US = {
    "kill": (40_000, 250_000),
    # A worker looks every 0.1 s whether it was asked to stop.
    "stop": (100_000, 250_000),
    "restart": (40_000, 250_000),
    "pause": (30_000, 10_000),
    "out_of_memory": (1_500_000, 200_000),
    "close_connections": (1_500_000, 10_000),
    "isolate": (300_000, 500_000),
    "partition": (400_000, 600_000),
    "delay": (800_000, 800_000),
    "lose": (400_000, 500_000),
    "throttle": (400_000, 600_000),
    "slow_down": (50_000, 50_000),
    "exhaust_connections": (500_000, 500_000),
    "disk_alarm": (1_500_000, 1_500_000),
    "memory_alarm": (1_500_000, 2_000_000),
    # A classic queue's mirrors are seen when its statistics are: 0.3 to 3.5 s later, in 10 runs.
    "set_policy": (10_000, 1_000_000),
    "submit": (0, 0),
    "scale": (0, 0),
    "call": (0, 0),
    "deploy": (0, 0),
    "fail_launches": (10_000, 10_000),
    "lose_zone": (400_000, 500_000),
    "spot_notice": (10_000, 10_000),
}
_FACTORS = (1, 2, 4)
_AT_ONCE_FACTORS = (1, 0.25, 2)
#: Kinds whose work is one call of the engine: it may be done before a job is, which is then not what it hits.
_AT_ONCE = ("kill", "stop", "restart", "pause", "set_policy")
#: What a message takes on the wire, in bits.
_MESSAGE_BITS = 400 * 8
#: The processor's time that a piece of work takes: 3 ms.
_WORK_US = 3_000


def times_us(kind: str, choice: int) -> tuple[int, int]:
    """How long a kind takes until it works, and from then until it is proved, in microseconds.

    Args:
        kind: The kind of step.
        choice: 0, the benign one, to 2.
    """
    works_us, proved_us = _TIMES_US[kind]
    works = _AT_ONCE_FACTORS if kind in _AT_ONCE else _FACTORS
    return round(works_us * works[choice]), proved_us * _FACTORS[choice]


def _nothing() -> None:
    pass


def _kill(world: World, subject: Process) -> Undo:
    if isinstance(subject, Node):
        world.cluster.kill(subject)
        return lambda: world.cluster.start(subject)
    if isinstance(subject, Database):
        subject.kill()
        return subject.start
    if isinstance(subject, Producer):
        subject.die()
        return subject.begin
    assert isinstance(subject, Worker)
    subject.exit(137)
    return _nothing


def _stop(world: World, subject: Process) -> Undo:
    if isinstance(subject, Node):
        world.cluster.stop(subject)
        return lambda: world.cluster.start(subject)
    if isinstance(subject, Database):
        subject.stop()
        return subject.start
    if isinstance(subject, Worker):
        subject.stop()
        return _nothing
    return _kill(world, subject)


def _pause(world: World, subject: Process) -> Undo:
    if isinstance(subject, Node):
        world.cluster.freeze(subject)
        return lambda: world.cluster.thaw(subject)
    if isinstance(subject, Worker | Producer):
        world.freeze(subject)
        return lambda: world.thaw(subject) if subject.up else None
    subject.freeze()
    return subject.thaw


def _each(one: Callable[[World, Process], Undo]) -> Callable[[World, Step, list[Process]], Undo]:
    def apply(world: World, step: Step, subjects: list[Process]) -> Undo:
        del step
        undos = [one(world, subject) for subject in subjects]

        def heal() -> None:
            for undo in undos:
                undo()

        return heal

    return apply


def _isolate(world: World, step: Step, subjects: list[Process]) -> Undo:
    cuts: list[tuple[Node, Node]] = []
    inward = step.direction in (None, "both", "in")
    outward = step.direction in (None, "both", "out")
    nodes = [subject for subject in subjects if isinstance(subject, Node)]
    for node in nodes:
        for other in world.cluster.nodes if step.cut != "clients" else ():
            if other is not node:
                cuts += [(other, node)] * inward + [(node, other)] * outward
    clients = nodes if step.cut in ("clients", "everything") else []

    def turn(count: int) -> None:
        for source, target in cuts:
            world.cluster.cut(source, target, count=count)
        for node in clients:
            node.cut_in += count * inward
            node.cut_out += count * outward
            for connection in list(node.connections):
                connection.path_changed()

    turn(1)
    return lambda: turn(-1)


def _partition(world: World, step: Step, subjects: list[Process]) -> Undo:
    del subjects
    nodes = world.cluster.nodes
    half = len(nodes) // 2
    if step.shape == "halves":
        pairs = [(one, other) for one in nodes[:half] for other in nodes[half:]]
    else:
        pairs = _ring_gaps(nodes)

    def turn(count: int) -> None:
        for one, other in pairs:
            world.cluster.cut(one, other, count=count)
            world.cluster.cut(other, one, count=count)

    turn(1)
    return lambda: turn(-1)


def _ring_gaps(nodes: list[Node]) -> list[tuple[Node, Node]]:
    """The pairs that lose sight of each other: every node keeps as many neighbours as make a majority."""
    count = len(nodes)
    if count == 3:
        return [(nodes[0], nodes[2])]
    reach = count // 4 if count > 4 else 1
    return [
        (one, other)
        for one, other in combinations(nodes, 2)
        if min((other.index - one.index) % count, (one.index - other.index) % count) > reach
    ]


def _adding(attribute: str, amount: Callable[[Step], int]) -> Callable[[World, Step, list[Process]], Undo]:
    """A fault that makes a number of each subject larger for a while."""

    def apply(world: World, step: Step, subjects: list[Process]) -> Undo:
        del world
        extra = amount(step)

        def turn(sign: int) -> None:
            for subject in subjects:
                setattr(subject, attribute, getattr(subject, attribute) + sign * extra)
                subject.measure()

        turn(1)
        return lambda: turn(-1)

    return apply


def _by_us(step: Step) -> int:
    assert step.by is not None
    return round(step.by.value_s * 1e6)


def _percent(step: Step) -> int:
    assert step.percent is not None
    return step.percent.value


def _serial_us(step: Step) -> int:
    assert step.kbit is not None
    return _MESSAGE_BITS * 1000 // step.kbit.value


def _slow_us(step: Step) -> int:
    return _WORK_US * (100 - _percent(step)) // _percent(step)


def _exhaust(world: World, step: Step, subjects: list[Process]) -> Undo:
    del step, subjects
    world.database.exhaust(count=1)
    return lambda: world.database.exhaust(count=-1)


def _alarm(world: World, step: Step, subjects: list[Process]) -> Undo:
    del step

    def turn(count: int) -> None:
        for subject in subjects:
            assert isinstance(subject, Node)
            subject.alarms += count
        world.cluster.alarms += count * len(subjects)
        for producer in world.producers:
            producer.alarm(raised=world.cluster.alarmed)

    turn(1)
    return lambda: turn(-1)


def _close(world: World, step: Step, subjects: list[Process]) -> Undo:
    del step
    for subject in subjects:
        for connection in world.connections_of(subject):
            connection.refuse()
    return _nothing


def _fail_launches(world: World, step: Step, subjects: list[Process]) -> Undo:
    del step
    assert world.group is not None
    return world.group.fail_zones([subject.name for subject in subjects])


def _lose_zone(world: World, step: Step, subjects: list[Process]) -> Undo:
    # Real: who is cut off goes on with the job in hand, and cannot end it. Ours: it stands still. Why: nobody can see
    # the difference before it is replaced or the zone is back.
    del step
    assert world.group is not None
    workers = [subject for subject in subjects if isinstance(subject, Worker)]
    zones = [subject.name for subject in subjects if not isinstance(subject, Worker)]
    undos = [world.group.fail_zones(zones), world.group.impair_later([worker.name for worker in workers])]
    undos += [_pause(world, worker) for worker in workers]

    def heal() -> None:
        for undo in undos:
            undo()

    return heal


def _spot_notice(world: World, step: Step, subjects: list[Process]) -> Undo:
    del step
    assert world.group is not None
    world.group.tell(*(SpotNotice(instance_id=world.group.scaler.id_of(subject.name)) for subject in subjects))
    return _nothing


FAULTS: dict[str, Callable[[World, Step, list[Process]], Undo]] = {
    "kill": _each(_kill),
    "stop": _each(_stop),
    "restart": _each(_stop),
    "pause": _each(_pause),
    "out_of_memory": _each(_kill),
    "close_connections": _close,
    "isolate": _isolate,
    "partition": _partition,
    "delay": _adding("delay_us", _by_us),
    "lose": _adding("loss_percent", _percent),
    "throttle": _adding("serial_us", _serial_us),
    "slow_down": _adding("slow_us", _slow_us),
    "exhaust_connections": _exhaust,
    "disk_alarm": _alarm,
    "memory_alarm": _alarm,
    "fail_launches": _fail_launches,
    "lose_zone": _lose_zone,
    "spot_notice": _spot_notice,
}
