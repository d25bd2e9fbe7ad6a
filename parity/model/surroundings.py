"""What a client of the stack works with."""

from __future__ import annotations

from dataclasses import dataclass

from parity.model.cluster import Cluster
from parity.model.database import Database
from parity.model.queue import WorkQueue
from parity.model.timeline import Timeline, Watcher


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The stack around a producer or worker.

    Args:
        timeline: Time and chance.
        cluster: Where to connect.
        queue: What to publish to, or to consume.
        database: Where effects go.
        watcher: Told what a client could see.
    """

    timeline: Timeline
    cluster: Cluster
    queue: WorkQueue
    database: Database
    watcher: Watcher
