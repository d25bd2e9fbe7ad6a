"""The events a history is made of: everything a run may later be judged by.

A job is named by its number in the run, an integer from 0; the identity the application saw is made from
it by the stack's `job_id` pattern and stands in the run's record. Times are microseconds since the run
began, from one clock. Every class is frozen; its tag is the `event` member of the JSON line.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["ok", "fail", "info"]
"""`ok`: confirmed. `fail`: certainly not enqueued. `info`: unknown, it may have happened."""

FaultPhase: TypeAlias = Literal["applying", "applied", "proved", "healing", "healed", "failed"]
InstanceState: TypeAlias = Literal["starting", "running", "exited", "removed"]
NodeState: TypeAlias = Literal["running", "down", "paused", "partitioned"]
PhaseName: TypeAlias = Literal["start", "faults", "heal", "drain", "census", "end"]


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="event"):
    #: Microseconds since the run began.
    t_us: int


class Submit(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="submit"):
    """Parity handed a job to the application's way of submitting."""

    job: int
    #: A kind the stack declares, such as `poison`; empty for an ordinary job.
    kind: str = ""


class Submitted(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="submitted"):
    """The outcome of a submit came back. A submit without one counts as `info`."""

    job: int
    outcome: Outcome
    reason: str = ""


class Delivery(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="delivery"):
    """A worker said that it was handed a job."""

    job: int
    worker: str
    #: The broker's redelivered flag; None where the application does not tell.
    redelivered: bool | None = None


class Point(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="point"):
    """A worker said that it passed a point in a job's life, such as `committed` or `acknowledged`."""

    job: int
    worker: str
    point: str


class Effect(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="effect"):
    """The effects of a job were counted and differ from the last count. `count` is the new total."""

    job: int
    count: int


class Phantom(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="phantom"):
    """Something carried a job identity that this run never submitted."""

    identity: str
    seen: Literal["effect", "delivery", "point", "queue", "submitted"]


class Found(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="found"):
    """The census after the drain found a job's message still in a queue. One event a message."""

    job: int
    place: Literal["queue", "dead_letter"]
    queue: str


class Census(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="census"):
    """The census ended: every queue was read out, or could not be.

    `complete` is true only when every node was up, no partition was left, every queue was read to its end
    with no consumer on it, and the effects were counted afterwards. Only then can a job be called lost.
    """

    complete: bool
    queued: int
    dead_lettered: int
    reason: str = ""


class Fault(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="fault"):
    """A fault moved on: applying, applied, proved (its effect was observed), healing, healed; or failed."""

    #: The step's index in the scenario as drawn; steps that repeat share it.
    fault: int
    kind: str
    #: The role the scenario named, such as `queue leader`.
    target: str
    phase: FaultPhase
    #: What the role was at that moment: nodes, instances or services by name.
    on: tuple[str, ...] = ()
    detail: str = ""


class Instance(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="instance"):
    """A worker instance changed state."""

    instance: str
    state: InstanceState
    exit_code: int | None = None
    reason: str = ""


class Node(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="node"):
    """A broker node (or the database, by its service name) changed state."""

    node: str
    state: NodeState
    detail: str = ""


class Queue(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="queue"):
    """A queue's depth or leader changed, as the broker reports it (late by its intervals)."""

    queue: str
    ready: int
    unacknowledged: int
    leader: str = ""


class Health(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="health"):
    """The heal phase ended: every node up, no partition, every queue with its leader; or not, and why."""

    healed: bool
    detail: str = ""


class Phase(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="phase"):
    """The run entered a phase. `deadline_us`: by when the phase had to be over, 0 where it has no bound."""

    phase: PhaseName
    deadline_us: int = 0


#: An instance refresh is under way: there may be more than `max_size`.
REFRESHING = "instance refresh"


class Capacity(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="capacity"):
    """The numbers of the Auto Scaling group changed."""

    desired: int
    min_size: int
    max_size: int
    in_service: int
    #: On their way in: launched, waiting for hooks or for a load balancer.
    pending: int = 0
    #: On their way out.
    leaving: int = 0
    #: Why there may be more than `max_size`, where AWS documents it: `rebalancing`, `REFRESHING`, ...
    excused: str = ""


class Lifecycle(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="lifecycle"):
    """An instance's lifecycle state in its group changed; an empty `state` is that it left the group."""

    instance: str
    state: str
    zone: str = ""
    healthy: bool = True


class Activity(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="activity"):
    """A scaling activity began, or moved on to another status."""

    activity: str
    status: str
    description: str
    cause: str = ""
    #: Whose it is; empty where there was no instance.
    instance: str = ""
    message: str = ""


class Called(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="called"):
    """The AWS API was called; `refused` is AWS's error where it was refused."""

    operation: str
    refused: str = ""


class Revision(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="revision"):
    """A worker said, as it started, which revision of the code it has."""

    instance: str
    revision: str


class Deployed(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="deployed"):
    """A deploy began: from now on this revision is the one that instances should run."""

    revision: str


class Connections(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="connections"):
    """How many connections the database has changed. `limit`: how many its clients may have."""

    used: int
    limit: int


class Printed(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="printed"):
    """What an instance that ended before the census had printed in its life."""

    instance: str
    lines: int
    #: Of all lines, in whatever order.
    digest: str = ""


class Archived(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="archived"):
    """What is in the archive of an instance that ended before the census, read after the drain."""

    instance: str
    lines: int
    digest: str = ""
    #: Lines that were printed and are not there, and when the first of them was printed.
    missing: int = 0
    missing_since_us: int = 0


class Remark(_Event, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="remark"):
    """A thing worth knowing that no property reads."""

    text: str


Event: TypeAlias = (
    Submit
    | Submitted
    | Delivery
    | Point
    | Effect
    | Phantom
    | Found
    | Census
    | Fault
    | Instance
    | Node
    | Queue
    | Health
    | Phase
    | Capacity
    | Lifecycle
    | Activity
    | Called
    | Revision
    | Deployed
    | Connections
    | Printed
    | Archived
    | Remark
)
