"""Deploys on the models: onto the instances that are found in service, or by the launch template."""

from __future__ import annotations

from collections.abc import Callable

from parity.model.constants import DISCOVERY_US
from parity.sim.world import World

#: How long an instance may take until it says that it has the revision, as on containers.
PATIENCE_US = 60_000_000
_LOOK_US = 200_000


class Deploy:
    """One deploy; it begins at once.

    Args:
        world: Where.
        revision: What.
        done: Called when it is over, with why it failed; empty where it did not.
    """

    def __init__(self, world: World, revision: str, done: Callable[[str], None]) -> None:
        assert world.group is not None
        self._world = world
        self._group = world.group
        self._engine = world.engine
        self._revision = revision
        self._done = done
        self._group.scaler.begin_deploy(revision)

    def by_template(self, *, refresh: bool) -> None:
        """Make a new version of the launch template, and refresh the instances to it or not."""
        self._done(self._group.new_template(self._revision, refresh=refresh))

    def by_discovery(self) -> None:
        """Find what is in service, in a moment, and deploy to each in turn."""
        self._engine.after(DISCOVERY_US, self._discover)

    def _discover(self) -> None:
        self._next(self._group.scaler.serving())

    def _next(self, left: list[str]) -> None:
        if not left:
            self._done("")
            return
        worker, *others = left
        said: list[bool] = []
        self._world.renew(worker, self._revision, lambda: said.append(True))
        self._await(worker, others, said, self._engine.now_us)

    def _await(self, worker: str, others: list[str], said: list[bool], since_us: int) -> None:
        if said or not self._world.workers[worker].up:
            self._next(others)
        elif self._engine.now_us - since_us >= PATIENCE_US:
            self._done(f"{worker} does not say that it has {self._revision}")
        else:
            self._engine.after(_LOOK_US, self._await, worker, others, said, since_us)
