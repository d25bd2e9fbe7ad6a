"""Where requests to a target group go, as its attributes say; and which of them nothing here obeys."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from parity.model.scaling.balancing import balancers, target_groups
from parity.model.scaling.balancing.targets import DELAY
from parity.model.scaling.state import State

_COUNT = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
_PERCENTAGE = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"
_OBEYED = {DELAY, _COUNT, _PERCENTAGE, "deletion_protection.enabled"}


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Where requests go.

    Args:
        fewest: With fewer healthy targets than these requests go to the unhealthy ones as well.
        fewest_percent: With a smaller part of the targets than this, in percent, likewise.
        unheeded: Attributes that are not as they are by default, and change nothing here: `KEY=VALUE`.
    """

    fewest: int = 1
    fewest_percent: int = 0
    unheeded: tuple[str, ...] = ()

    def fewest_healthy(self, registered: int) -> int:
        """How many of so many targets must be healthy for requests to go to no others.

        Source: ELB user guide, "Target group health": what of the two is more.
        """
        return max(self.fewest, ceil(registered * self.fewest_percent / 100))


def routing_of(state: State, target_group: str) -> Routing | None:
    """Where requests to a target group, by its ARN, go; None where there is none."""
    group = state.target_groups.get(target_group)
    if group is None:
        return None
    unheeded = _differences(group.attributes, target_groups.default_attributes(group.protocol))
    for arn in group.load_balancers:
        balancer = state.load_balancers[arn]
        unheeded += _differences(balancer.given["Attributes"], balancers.default_attributes(balancer.given["Type"]))
    percentage = group.attributes[_PERCENTAGE]
    return Routing(
        fewest=int(group.attributes[_COUNT]),
        fewest_percent=0 if percentage == "off" else int(percentage),
        unheeded=unheeded,
    )


def _differences(attributes: dict[str, str], defaults: dict[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{key}={value}" for key, value in attributes.items() if key not in _OBEYED and value != defaults.get(key)
    )
