"""What a report tells, as data: computed from a record's folder, and all that a drawing may know.

Everything is frozen and serialisable (`msgspec.json.encode` takes a `RunReport` as it is). Times are
microseconds since the run began.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from parity.check.verdict import Finding, Tally, Verdict

Kind: TypeAlias = Literal[
    "lost", "unaccounted", "stuck", "duplicated", "dead_lettered", "late", "unknown", "witness", "redelivered", "usual"
]
"""Why a job's life is told. `witness`: a finding names it for another reason. `usual`: nothing happened to it."""

LaneKind: TypeAlias = Literal["node", "leader", "instance", "lifecycle"]


class _Data(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Facts(_Data, frozen=True, kw_only=True):
    """What was known before the run started."""

    scenario: str
    stack: str
    runtime: str
    #: None where the record does not tell.
    seed: int | None
    #: ISO 8601, UTC.
    started: str
    #: The version of parity that ran it.
    parity: str
    #: The sentence of the scenario that says what must hold.
    about: str
    #: The pattern that makes a job's identity from its number.
    job_id: str
    #: The command that runs it again.
    again: str
    #: Digests by service.
    images: tuple[tuple[str, str], ...]
    #: The scenario as drawn, in YAML.
    drawn: str


class Ruling(_Data, frozen=True, kw_only=True):
    """What the run was judged to be."""

    #: False where no verdict was written: the run died, or is still going on.
    judged: bool
    verdict: Verdict
    #: In words; empty where the record does not tell.
    expected: str
    #: The properties that had to be violated.
    expected_violated: tuple[str, ...]
    as_expected: bool
    #: Why the run broke off; empty where it did not.
    error: str
    #: Wall time of the run; None where it was not written.
    seconds: float | None
    findings: tuple[Finding, ...]
    tally: Tally


class Band(_Data, frozen=True, kw_only=True):
    """A phase of the run."""

    name: str
    start_us: int
    end_us: int
    #: By when it had to be over; 0 where it had no bound.
    deadline_us: int = 0


class Span(_Data, frozen=True, kw_only=True):
    """A stretch of time in one state."""

    state: str
    start_us: int
    end_us: int
    note: str = ""
    #: Only of the state `exited`.
    exit_code: int | None = None


class Lane(_Data, frozen=True, kw_only=True):
    """The states of one thing, one after the other: a node or service, a queue's leader, an instance."""

    name: str
    kind: LaneKind
    spans: tuple[Span, ...]


class FaultSpan(_Data, frozen=True, kw_only=True):
    """A step of the scenario, from the moment it was begun until it was healed."""

    fault: int
    kind: str
    target: str
    #: False for a step that changes the run and breaks nothing, such as `scale`.
    breaks: bool
    on: tuple[str, ...]
    start_us: int
    #: None where it was never applied.
    applied_us: int | None
    end_us: int
    healed: bool
    #: What was seen of its effect; empty where it was not proved.
    proof: str
    #: Why it failed; empty where it did not.
    failed: str


class Depth(_Data, frozen=True, kw_only=True):
    """A queue's depth as the broker reported it: late by its statistics' interval, silent while it is down."""

    queue: str
    #: Microseconds, messages ready, messages unacknowledged.
    points: tuple[tuple[int, int, int], ...]


class Counts(_Data, frozen=True, kw_only=True):
    """How often things happened, in bins of one width from the run's beginning."""

    width_us: int
    #: Jobs handed over to be submitted.
    submits: tuple[int, ...]
    ok: tuple[int, ...]
    unknown: tuple[int, ...]
    refused: tuple[int, ...]
    deliveries: tuple[int, ...]
    #: Jobs whose effects were counted anew.
    effects: tuple[int, ...]


class Size(_Data, frozen=True, kw_only=True):
    """The numbers of the Auto Scaling group, from a moment on."""

    t_us: int
    desired: int
    in_service: int
    #: On their way in, and out.
    pending: int
    leaving: int


class ScalingActivity(_Data, frozen=True, kw_only=True):
    """A scaling activity, as it stood at the end."""

    start_us: int
    #: None while it was not over.
    end_us: int | None
    status: str
    instance: str
    description: str
    cause: str
    message: str


class Scaling(_Data, frozen=True, kw_only=True):
    """What became of the Auto Scaling group; empty of a run without one."""

    sizes: tuple[Size, ...] = ()
    activities: tuple[ScalingActivity, ...] = ()
    #: Activities that are not told of.
    activities_more: int = 0
    #: Microseconds, connections of the database, how many there may be.
    connections: tuple[tuple[int, int, int], ...] = ()


class Timeline(_Data, frozen=True, kw_only=True):
    """Everything with a time axis."""

    end_us: int
    phases: tuple[Band, ...]
    faults: tuple[FaultSpan, ...]
    lanes: tuple[Lane, ...]
    depths: tuple[Depth, ...]
    counts: Counts
    #: Microseconds and text of remarks, and of the health at the end of the heal phase.
    remarks: tuple[tuple[int, str], ...]
    scaling: Scaling = Scaling()


class Line(_Data, frozen=True, kw_only=True):
    """One event of a job's life in plain words."""

    t_us: int
    who: str
    what: str
    #: `own`: the job's event. `holder`: it befell the worker that held the job. `around`: a fault that was
    #: applied or healed meanwhile. `end`: what the census makes of it all. `gap`: events left out.
    role: Literal["own", "holder", "around", "end", "gap"] = "own"


class Life(_Data, frozen=True, kw_only=True):
    """Everything the history tells of one job."""

    job: int
    #: As the application saw it.
    identity: str
    kinds: tuple[Kind, ...]
    #: The properties whose findings name it.
    witness_of: tuple[str, ...]
    lines: tuple[Line, ...]


class Group(_Data, frozen=True, kw_only=True):
    """The jobs of one kind: how many, which lives are told, which are left out."""

    kind: Kind
    total: int
    told: tuple[int, ...]
    #: Runs of job numbers, first and last.
    left_out: tuple[tuple[int, int], ...]
    #: Jobs that are in no run above, because there are too many runs.
    left_out_more: int


class RunReport(_Data, frozen=True, kw_only=True):
    """One run, ready to be drawn."""

    facts: Facts
    ruling: Ruling
    timeline: Timeline
    groups: tuple[Group, ...]
    #: The lives of the jobs that the groups tell of.
    lives: tuple[Life, ...]
    #: Jobs delivered more than once.
    redelivered: Group
    #: Lives told as evidence where everything held.
    examples: tuple[Life, ...]
    #: What the record lacks, in sentences.
    gaps: tuple[str, ...]
    #: Files of the record, relative to its folder, with their size in bytes.
    files: tuple[tuple[str, int], ...]
