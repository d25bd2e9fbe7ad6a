"""Faults of an Auto Scaling group's surroundings: zones without room, zones cut off, instances that EC2 takes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from parity.model.scaling.world import SpotNotice
from parity.scenario.ranges import IntRange
from parity.scenario.steps import Step
from parity.stack.faults import link
from parity.stack.faults.live import Live, Subject, zones_of


@contextlib.contextmanager
def without_room(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """EC2 refuses every launch in the zones."""
    del subjects
    assert live.scaled is not None
    zones = zones_of(step, live)
    heal = live.scaled.fail_zones(zones)
    try:
        yield f"launches are refused in {', '.join(zones)}"
    finally:
        heal()


@contextlib.contextmanager
def lost(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """Every packet of the zones' instances is dropped, and none can be launched there."""
    assert live.scaled is not None
    with contextlib.ExitStack() as healing:
        proof = healing.enter_context(without_room(step, [], live))
        if subjects:
            all_of_it = step.model_copy(update={"percent": IntRange(low=100, high=100)})
            # EC2 finds out what is so, and hears that it is over when it is: the cut comes first, both times.
            reached_again = healing.enter_context(contextlib.ExitStack())
            proof += "; " + healing.enter_context(link.lossy(all_of_it, subjects, live))
            reached_again.callback(live.scaled.impair_later([subject.name for subject in subjects]))
        yield proof


@contextlib.contextmanager
def noticed(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """EC2 says that it takes spot instances back in two minutes of the group's clock."""
    del step
    assert live.scaled is not None
    ids = [live.scaled.id_of(subject.name) for subject in subjects]
    live.scaled.tell(*(SpotNotice(instance_id=one) for one in ids))
    yield f"EC2 takes {', '.join(ids)} back"
