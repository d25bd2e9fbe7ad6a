"""Why an activity happened, in AWS's sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from parity.model.scaling.region import Region
from parity.model.scaling.state import SECOND_US

CAUSE_LENGTH_MAX = 1023
DIFFERENCE = "a difference between desired and actual capacity"


def stamp(time_us: int) -> str:
    """A time as causes have it: UTC, to the second."""
    return _second(time_us // SECOND_US)


@lru_cache(maxsize=256)
def _second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(region: Region, text: str) -> str:
    """A sentence with its time before it: `At 2026-11-25T18:00:00Z` and the text."""
    return f"At {stamp(region.now_us)} {text}"


def joined(sentences: Iterable[str]) -> str:
    """Sentences as one cause. Where that is too long for AWS, the earliest go."""
    kept = list(sentences)
    while len(kept) > 1 and len("  ".join(kept)) > CAUSE_LENGTH_MAX:
        kept.pop(0)
    return "  ".join(kept)[:CAUSE_LENGTH_MAX]


def changing(region: Region, what: str, before: int, after: int) -> str:
    """The sentence of what changed the desired capacity, such as `a user request created an AutoScalingGroup`."""
    return at(region, f"{what} changing the desired capacity from {before} to {after}.")


def update(who: str, *, min_size: int, max_size: int, desired: int) -> str:
    """What an update of a group's sizes is called in a cause; `who` such as `a user request`."""
    sizes = f"min: {min_size}, max: {max_size}, desired: {desired}"
    return f"{who} update of AutoScalingGroup constraints to {sizes}"


def launched(region: Region, before: int, after: int) -> str:
    """The sentence of instances that were missing."""
    return at(
        region,
        f"an instance was started in response to {DIFFERENCE}, increasing the capacity from {before} to {after}.",
    )


def responding(region: Region, why: str) -> str:
    """The sentence of an instance that takes another's place; `why` such as `an instance refresh`."""
    return at(region, f"an instance was launched in response to {why}.")


def shrunk(region: Region, before: int, after: int) -> str:
    """The sentence of instances that were too many."""
    return taken_out(region, f"{DIFFERENCE}, shrinking the capacity from {before} to {after}")


def taken_out(region: Region, why: str) -> str:
    """The sentence of an instance that goes; `why` such as `an ELB system health check failure`."""
    return at(region, f"an instance was taken out of service in response to {why}.")


def selected(region: Region, instance_id: str) -> str:
    """The sentence that names who goes."""
    return at(region, f"instance {instance_id} was selected for termination.")


def requested(region: Region, instance_id: str, did: str, sizes: tuple[int, int] | None = None) -> str:
    """The sentence of what a user asked of one instance.

    Args:
        region: Where.
        instance_id: Which.
        did: Such as `taken out of service` or `moved to standby`.
        sizes: The capacity before and after, where it changes.
    """
    change = ""
    if sizes:
        way = "shrinking" if sizes[1] < sizes[0] else "increasing"
        change = f", {way} the capacity from {sizes[0]} to {sizes[1]}"
    return at(region, f"instance {instance_id} was {did} in response to a user request{change}.")


def balancing(region: Region, sizes: Mapping[str, int]) -> str:
    """The sentence of an instance that is launched because zones differ."""
    names, counts = " ".join(sizes), " ".join(str(size) for size in sizes.values())
    return at(
        region,
        f"availability zones {names} had {counts} instances respectively. An instance was launched to aid in balancing "
        "the group's zones.",
    )


def balanced(region: Region, zone: str) -> str:
    """The sentence of what makes room for such an instance."""
    return at(
        region,
        f"instances were launched to balance instances in zones {zone} with other zones resulting in more than desired "
        "number of instances in the group.",
    )
