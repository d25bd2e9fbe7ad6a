"""Broker policies: set, and proved to be in force on the queues before anything else happens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from parity.errors import ParityError
from parity.stack.broker import Broker
from parity.stack.engine import wait_for

_NAME = "parity"
_WITHIN_S = 30.0


def set_policy(broker: Broker, virtual_host: str, policy: dict[str, Any], *, queues: Sequence[str]) -> str:
    """Set a policy and wait until every queue that it is for shows it, with the mirrors it asks for.

    Args:
        broker: Where.
        virtual_host: The run's.
        policy: The management API's body; `pattern` and `apply-to` may be left out.
        queues: The work queues; those that the pattern matches must exist.

    Returns:
        What the queues show.

    Raises:
        StackError: The broker refuses the policy, or a queue does not show it in time.
    """
    broker.set_policy(virtual_host, _NAME, policy)
    chosen = [queue for queue in queues if re.search(str(policy.get("pattern", ".*")), queue)]
    definition = policy.get("definition") or {}

    def look() -> tuple[str | None, str]:
        try:
            shown = [broker.queue(virtual_host, queue) for queue in chosen]
        except ParityError as error:
            return None, str(error)
        states = [
            in_force(queue, name, definition, nodes=len(broker.containers))
            for name, queue in zip(chosen, shown, strict=True)
        ]
        last = "; ".join(state for _, state in states)
        return (last if all(there for there, _ in states) else None), last

    return wait_for(f"the policy {definition} in force", look, within_s=_WITHIN_S)


def in_force(queue: dict[str, Any] | None, name: str, definition: dict[str, Any], *, nodes: int) -> tuple[bool, str]:
    """Whether a queue shows the policy, and what it shows.

    Args:
        queue: The queue as the management API shows it; None where it does not exist.
        name: Its name.
        definition: The policy's.
        nodes: How many nodes the cluster has.
    """
    if queue is None:
        return False, f"{name} does not exist"
    if queue.get("type") == "quorum" and any(key.startswith("ha-") for key in definition):
        return True, f"{name} is a quorum queue, which has members of its own and takes no ha-mode"
    if queue.get("policy") != _NAME:
        return False, f"{name} has the policy {queue.get('policy') or 'none'}"
    mirrors, synchronised = queue.get("slave_nodes") or [], queue.get("synchronised_slave_nodes") or []
    wanted = _mirrors(definition, nodes)
    shown = f"{name} has the policy"
    if wanted:
        shown += f", {len(mirrors)} mirrors of {wanted}, {len(synchronised)} of them synchronised"
    automatic = definition.get("ha-sync-mode") == "automatic"
    return len(mirrors) >= wanted and (len(synchronised) >= wanted or not automatic), shown


def _mirrors(definition: dict[str, Any], nodes: int) -> int:
    """How many mirrors a policy asks for beside the leader."""
    mode, count = definition.get("ha-mode"), definition.get("ha-params")
    if mode == "all":
        return nodes - 1
    if mode == "exactly" and isinstance(count, int):
        return min(count, nodes) - 1
    if mode == "nodes" and isinstance(count, list):
        return len(count) - 1
    return 0
