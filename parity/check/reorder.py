"""The orders in which the events of one job can have happened, and the lives that fit one of them.

Every source - the producer, each worker, whoever waits for a worker's exit, counts effects and reads queues, or applies
faults - is recorded in its own order. Against one another they may be late by `LATENESS_US`. A position says how much
of each source has happened; the lives of a position are those of all the positions it can be reached from, so that
orders are not tried one by one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, TypeAlias

from parity.history.events import Delivery, Event, Point, Submit, Submitted
from parity.model.contract import LATENESS_US, Node, Surroundings, Symbol, symbol_of
from parity.model.contract.circumstances import Circumstance


class _Item(NamedTuple):
    """One thing of a source: a thing seen of the job, or the beginning of a circumstance."""

    t_us: int
    symbol: Symbol
    #: What was so when it was seen.
    lasting: tuple[Circumstance, ...] = ()


Position: TypeAlias = tuple[int, ...]


def touches(event: Event) -> bool:
    """Whether an event brings a job's message somewhere where what is so may touch it."""
    return isinstance(event, Submit | Delivery) or (isinstance(event, Point) and event.point != "committed")


def _source(event: Event) -> str:
    if isinstance(event, Delivery | Point):
        return f"worker {event.worker}"
    return "producer" if isinstance(event, Submit | Submitted) else "watch"


def _sources(events: list[Event], surroundings: Surroundings, end_us: int) -> list[list[_Item]]:
    found: dict[str, list[_Item]] = {}
    for event in events:
        lasting = surroundings.during(event.t_us, event.t_us) if touches(event) else ()
        found.setdefault(_source(event), []).append(_Item(event.t_us, _symbol(event), tuple(lasting)))
    workers = frozenset(found)
    for t_us, circumstance in surroundings.moments(events[0].t_us - LATENESS_US):
        if t_us <= end_us:
            found.setdefault(_source_of(circumstance, workers), []).append(_Item(t_us, circumstance))
    return list(found.values())


def _source_of(circumstance: Circumstance, sources: Collection[str]) -> str:
    """Exits are waited for by a thread for each worker. Of those that never had the job, the order does not matter."""
    worker = f"worker {circumstance.worker}"
    return f"what became of {worker}" if worker in sources else "faults"


def _symbol(event: Event) -> Symbol:
    symbol = symbol_of(event)
    assert symbol is not None, "only events of a job are kept with it"
    return symbol


def lives_in_any_order(start: Node, events: list[Event], surroundings: Surroundings, end_us: int) -> Node:
    """The lives after all events of a job, in whatever order they can have happened.

    Args:
        start: The lives before them.
        events: The job's, as recorded; at least one.
        surroundings: What was so meanwhile.
        end_us: Until when it is looked at.

    Returns:
        The node of those lives; without any where no order fits.
    """
    sources = _sources(events, surroundings, end_us)
    positions: dict[Position, set[Node]] = {tuple(0 for _ in sources): {start}}
    for _ in range(sum(len(source) for source in sources)):
        reached: dict[Position, set[Node]] = {}
        for position, nodes in positions.items():
            for index in _possible_next(sources, position):
                after = {_after(node, sources, position, index) for node in nodes}
                after = {node for node in after if node.lives}
                if after:
                    following = (*position[:index], position[index] + 1, *position[index + 1 :])
                    reached.setdefault(following, set()).update(after)
        positions = reached
    return start.union(node for nodes in positions.values() for node in nodes)


def _possible_next(sources: list[list[_Item]], position: Position) -> list[int]:
    """The sources whose next item can have happened before the next of every other."""
    heads = [
        (source[at].t_us, index)
        for index, (source, at) in enumerate(zip(sources, position, strict=True))
        if at < len(source)
    ]
    latest_us = min(t_us for t_us, _ in heads) + LATENESS_US
    return [index for t_us, index in heads if t_us <= latest_us]


def _after(node: Node, sources: list[list[_Item]], position: Position, index: int) -> Node:
    """The lives after the next item of a source."""
    item = sources[index][position[index]]
    if isinstance(item.symbol, Circumstance) and node.acknowledging:
        told = (source[at - 1].t_us for source, at in zip(sources, position, strict=True) if at)
        if max(told, default=item.t_us) < item.t_us - LATENESS_US:
            node = node.settled()
    node = node[item.symbol].target
    for circumstance in item.lasting:
        node = node[circumstance].target
    return node


def first_misfit(start: Node, events: list[Event], surroundings: Surroundings) -> tuple[int, Node, str]:
    """Where a life stops fitting, of events that fit in no order.

    Returns:
        How many events before it fit, the lives right before it, and the rule that it breaks.
    """
    before = start
    for at, event in enumerate(events):
        end_us = event.t_us + LATENESS_US
        if not lives_in_any_order(start, events[: at + 1], surroundings, end_us).lives:
            if at:
                before = lives_in_any_order(start, events[:at], surroundings, end_us)
            # An event may fit what came before it as it stands, and only not in an order that all of them fit.
            return at, before, next(iter(before[_symbol(event)].denied), "work.order")
    raise AssertionError("the events fit")
