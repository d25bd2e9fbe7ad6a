"""What a model is told of a stack: the settings that stand for it.

Each says what the real thing is called, so that a person can hold the model against the stack. The defaults are those
of the real things, not those of the reference stack.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from parity.scenario.duration import Seconds, parse_duration_s


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _spread(value: Any) -> Any:
    """A duration, or two of them as `0.05..0.1`, as seconds."""
    if isinstance(value, tuple | list):
        return tuple(value)
    low, dots, high = str(value).partition("..")
    low_s = parse_duration_s(_number(low))
    return (low_s, parse_duration_s(_number(high)) if dots else low_s)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


#: Seconds, from and to, drawn anew each time.
Spread = Annotated[tuple[float, float], BeforeValidator(_spread)]


class BrokerModel(_Section):
    """RabbitMQ: the work queue and the cluster it lives in."""

    #: `x-queue-type`. Mirroring of a classic queue is a policy, which a scenario sets.
    queue_type: Literal["quorum", "classic"] = "classic"
    #: Whether the queue survives a restart of its node.
    durable: bool = True
    #: Whether the queue is deleted when its last consumer leaves.
    auto_delete: bool = False
    #: `cluster_partition_handling`.
    partition_handling: Literal["ignore", "pause_minority", "autoheal"] = "ignore"
    #: `net_ticktime`: a node that vanishes without a word is given up after 0.75 to 1.25 of it.
    net_ticktime: Seconds = 60.0
    #: `x-delivery-limit` of a quorum queue, deliveries beyond the first; None: no limit (up to 3.13).
    delivery_limit: int | None = Field(default=None, ge=0)
    #: Whether what is given up goes to a dead-letter queue; else it is dropped.
    dead_letter: bool = False
    #: `x-max-length` with overflow `drop-head`.
    max_length: int | None = Field(default=None, ge=1)
    #: `x-message-ttl`.
    message_ttl: Seconds | None = None
    #: `consumer_timeout`: an acknowledgement that is later closes the channel. None: off.
    consumer_timeout: Seconds | None = 1800.0


class ProducerModel(_Section):
    """What submits jobs, and when it calls one submitted."""

    #: `confirmed`: with publisher confirms. `written`: the socket took it. `buffered`: it is in the producer's memory.
    ok_when: Literal["confirmed", "written", "buffered"] = "confirmed"
    #: Jobs are written to a table of the database, and count as submitted then. A relay publishes what stands there
    #: until it is confirmed, or only written, as `ok_when` says.
    outbox: bool = False
    #: Delivery mode 2.
    persistent: bool = True
    #: Unroutable messages are returned; else they are confirmed and gone.
    mandatory: bool = True
    #: What a confirm that does not come in time makes of the job.
    on_timeout: Literal["unknown", "ok", "fail", "resubmit"] = "unknown"
    #: What a lost connection makes of jobs whose confirm was due.
    on_connection_lost: Literal["unknown", "ok", "fail", "resubmit"] = "unknown"
    #: What a refusal (nack) makes of the job.
    on_nack: Literal["retry", "ok", "unknown", "fail"] = "retry"
    #: How long a confirm may take.
    confirm_timeout: Seconds = 15.0
    #: How long a job may wait to be published before it fails.
    submit_timeout: Seconds = 30.0
    #: How many messages may be published and not confirmed.
    window: int = Field(default=50, ge=1)
    #: AMQP heartbeat.
    heartbeat: Seconds = 60.0


class WorkerModel(_Section):
    """What fetches jobs, works them and acknowledges them."""

    #: `automatic` is AMQP's `auto_ack`.
    acknowledge: Literal["after-commit", "before-commit", "automatic"] = "after-commit"
    #: Between the commit and the acknowledgement, whichever comes first.
    acknowledge_delay: Seconds = 0.0
    #: `transaction`: the effect and its job's mark are written together or not at all. `check-then-write`: looked up in
    #: one transaction, written in another. `memory`: each process remembers its own. `none`: written each time.
    deduplicate: Literal["transaction", "check-then-write", "memory", "none"] = "transaction"
    #: Effects are committed together once so many are there, or when nothing else is in hand.
    commit_every: int = Field(default=1, ge=1)
    #: What a commit that failed makes of the job. `requeue` gives it back, `reject` gives it up.
    on_commit_error: Literal["retry", "acknowledge", "requeue", "reject"] = "retry"
    #: What a job that fails (`poison`) is answered with. `republish` sends a copy without confirm, then acknowledges.
    on_failure: Literal["requeue", "reject", "acknowledge", "republish"] = "requeue"
    #: What SIGTERM makes of jobs fetched and not begun. `finish` takes no more, and gives them back after the one in
    #: hand is done; `acknowledge` acknowledges them all; `abandon` leaves at once, in the middle of a job.
    on_stop: Literal["finish", "acknowledge", "abandon"] = "finish"
    #: Whether a lost connection is made again; else the worker stays, and consumes nothing.
    reconnect: bool = True
    #: Whether a job that outlived its connection is acknowledged on the next one, by the old delivery tag.
    acknowledge_stale: bool = False
    #: Whether heartbeats are answered while a job runs.
    heartbeat_in_job: bool = True
    #: Deliveries a worker may have unacknowledged; 0: no limit.
    prefetch: int = Field(default=0, ge=0)
    #: How long a job takes.
    job_duration: Spread = (0.05, 0.05)
    #: How much processor time a job takes of that. Real: a worker takes some for itself too, when it starts and, 0.2 to
    #: 0.4 % of a processor, while it waits. Ours: none. Why: it is little beside work that anybody would scale by, and
    #: who starts does not count for its group yet. Source: measured, scaled-in-while-jobs-pile-up.
    job_processor_time: Seconds = 0.0
    #: How many processors an instance may use. Real: all of its machine's, where nothing limits it. Ours: two. Why: so
    #: many has the t3.small that instances are said to be. Source: EC2 user guide, instance types.
    processors: float = Field(default=2.0, gt=0)
    #: AMQP heartbeat.
    heartbeat: Seconds = 60.0
    #: SIGKILL follows SIGTERM after so long.
    stop_grace: Seconds = 10.0
    #: Which revision of the code an instance of a group boots with: the one that its launch template names, or the one
    #: that is deployed at that moment.
    boots_with: Literal["template", "deployed"] = "template"
    #: What becomes of a worker whose instance waits in its group's terminate hook: it stops as at SIGTERM, and the hook
    #: is completed when it has (`drain`); the hook is completed at once (`complete`); or nobody knows of the hook.
    on_terminate: Literal["ignore", "drain", "complete"] = "ignore"
    #: When what a worker prints is brought to an archive: as it comes, only in its group's terminate hook, or never.
    log_shipping: Literal["none", "stream", "terminate"] = "none"
    #: How long lines are gathered that are archived as they come.
    log_batch: Seconds = 0.5

    @property
    def in_hook(self) -> Literal["ignore", "drain", "complete"]:
        """What becomes of a worker in the terminate hook: what ships its lines there has it stop first, too."""
        return "drain" if self.log_shipping == "terminate" else self.on_terminate


#: What workers do that takes the AWS API: the settings' dotted names, and the value of each with which they do not.
WITHOUT_AWS = {"worker.log_shipping": "none", "worker.on_terminate": "ignore"}


class DatabaseModel(_Section):
    """PostgreSQL: where effects live."""

    max_connections: int = Field(default=100, ge=1)
    #: `superuser_reserved_connections`; none where the application's user is a superuser.
    reserved_connections: int = Field(default=3, ge=0)
    #: Off: a commit that was answered may be gone after a crash, for up to three times `wal_writer_delay`.
    synchronous_commit: bool = True


class ModelSettings(_Section):
    """All that stands for a stack in the models."""

    #: How many nodes the cluster has.
    nodes: int = Field(default=3, ge=1, le=7)
    #: How many workers there are where the scenario does not say.
    workers: int = Field(default=3, ge=0)
    #: Kinds of jobs that fail each time, and that take their worker along.
    poison: tuple[str, ...] = ()
    crash: tuple[str, ...] = ()
    broker: BrokerModel = BrokerModel()
    producer: ProducerModel = ProducerModel()
    worker: WorkerModel = WorkerModel()
    database: DatabaseModel = DatabaseModel()
