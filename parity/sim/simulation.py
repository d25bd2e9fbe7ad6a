"""What a simulated run leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from parity.history.events import Event


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """One scenario, run in virtual time.

    Args:
        events: The history, complete; its times are virtual microseconds.
        digest: Over every event of the engine, from the first: equal runs have equal digests, on every machine.
        probes: Rare branches of the models that were taken.
        unmodelled: What the scenario asked for and no model covers. Not empty: the run says nothing.
        failed: The scenario's steps that could not be applied, by index: no moment, or nobody in the role.
        steps: How many events the engine carried out.
    """

    events: list[Event]
    digest: int
    probes: frozenset[str] = field(default_factory=frozenset)
    unmodelled: tuple[str, ...] = ()
    failed: tuple[int, ...] = ()
    steps: int = 0
