"""The rules of a job's life and the branches each of them allows: their names, what they say, where they come from.

`Rules` is what a contract is made of beside the settings. Each field is one statement about a real stack; a contract
with one of them turned is a wrong model, and conformance must catch it on the history of a real run.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Sources that several rules share.
_AMQP = "AMQP 0-9-1"
_RELIABILITY = "RabbitMQ documentation, Reliability"
_CONFIRMS = "RabbitMQ documentation, Consumer Acknowledgements and Publisher Confirms"
_QUORUM = "RabbitMQ documentation, Quorum Queues (3.10)"
_CLASSIC = "RabbitMQ documentation, Classic Queue Mirroring (3.10)"
_HARNESS = "docs/stacks.md and docs/verdicts.md"
_WORKER = "compose/images/app/worker.py"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a stack must keep to."""

    #: One sentence.
    says: str
    source: str


RULES: dict[str, Rule] = {
    "submit.first": Rule(says="Nothing is seen of a job before it is handed to a producer.", source=_HARNESS),
    "submit.one-outcome": Rule(says="A submit has one outcome.", source=_HARNESS),
    "submit.undisturbed": Rule(
        says="Without a fault on the broker or the producer every job is confirmed.", source=_CONFIRMS
    ),
    "submit.confirmed": Rule(says="What is confirmed is in the queue.", source=_CONFIRMS),
    "submit.refused": Rule(says="A refused job is not in the queue and never was.", source=_HARNESS),
    "custody.one-holder": Rule(
        says="What a worker has not acknowledged comes again only when the worker gave it back or may have lost its"
        " connection.",
        source=_RELIABILITY,
    ),
    "custody.flag": Rule(
        says="A delivery is flagged as redelivered exactly when the message was delivered before, be it fetched ahead.",
        source=f"{_AMQP}, basic.deliver; {_CONFIRMS}",
    ),
    "custody.acknowledged": Rule(
        says="An acknowledged job does not come again, unless the acknowledgement may have been lost on its way.",
        source=_CONFIRMS,
    ),
    "custody.given-up": Rule(says="A job that was given up is not delivered again.", source=_QUORUM),
    "work.order": Rule(
        says="A worker says of a job: delivered, then committed and acknowledged in the order it is set to.",
        source=_WORKER,
    ),
    "work.failing": Rule(
        says="A job that fails is given back, given up or acknowledged, as is set, and never committed.", source=_WORKER
    ),
    "effect.after-delivery": Rule(says="Only a job that was delivered has an effect.", source=_HARNESS),
    "effect.once": Rule(
        says="A worker that writes effect and mark together has one effect a job; another at most one a delivery.",
        source="PostgreSQL 15 documentation, Transaction Isolation",
    ),
    "effect.stays": Rule(
        says="What is committed is in the database from then on.",
        source="PostgreSQL 15 documentation, Reliability and the Write-Ahead Log",
    ),
    "census.place": Rule(
        says="A message is found where it was left, and as often as there are copies of it.", source=_HARNESS
    ),
    "census.kept": Rule(
        says="No message disappears from the broker but by an acknowledgement or a loss that the settings permit.",
        source=_RELIABILITY,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One outcome that the contract allows, and that a history can show."""

    #: One sentence.
    says: str
    source: str


BRANCHES: dict[str, Branch] = {
    "submit.confirmed": Branch(says="A submit was confirmed.", source=_CONFIRMS),
    "submit.confirmed-late": Branch(says="A job was delivered before its confirm was seen.", source=_CONFIRMS),
    "submit.refused": Branch(says="A submit was refused.", source=_HARNESS),
    "submit.unknown": Branch(
        says="The outcome of a submit was unknown, and nothing seen of the job so far.", source=_CONFIRMS
    ),
    "unknown.enqueued": Branch(says="A submit of unknown outcome had reached the queue.", source=_CONFIRMS),
    "unknown.absent": Branch(says="A submit of unknown outcome had not reached the queue.", source=_CONFIRMS),
    "delivery.first": Branch(says="A job was delivered that never was before.", source=_AMQP),
    "delivery.after-reject": Branch(says="A rejected job came again.", source=_QUORUM),
    "delivery.after-worker": Branch(
        says="A job came again after its worker died or lost its connection.", source=_RELIABILITY
    ),
    "delivery.after-nodes": Branch(says="A job came again after a fault on the broker's nodes.", source=_RELIABILITY),
    "delivery.fetched-ahead": Branch(
        says="A job came flagged as redelivered that no worker had begun: it was fetched ahead.", source=_RELIABILITY
    ),
    "delivery.acknowledged": Branch(
        says="A job came again although its worker had acknowledged it: the acknowledgement was lost or too late.",
        source=_CONFIRMS,
    ),
    "delivery.stale": Branch(
        says="A worker began a job that it had fetched ahead over a connection lost meanwhile, and had not noticed.",
        source=_WORKER,
    ),
    "delivery.copy": Branch(says="A second copy of a message was delivered.", source=_CLASSIC),
    "work.committed": Branch(says="A worker committed a job's effect.", source=_WORKER),
    "work.acknowledged": Branch(says="A worker acknowledged a job.", source=_WORKER),
    "work.acknowledged-late": Branch(
        says="A worker acknowledged a job that was no longer its own; the broker passed over it.", source=_AMQP
    ),
    "work.rejected": Branch(says="A worker gave a job back.", source=_WORKER),
    "effect.counted": Branch(says="A job's effect was counted.", source=_HARNESS),
    "effect.repeated": Branch(says="A job took effect more than once.", source=_WORKER),
    "effect.gone": Branch(says="A committed effect was gone after the database died.", source="PostgreSQL 15"),
    "effect.unannounced": Branch(
        says="A job has an effect that no worker said it had committed: it died in between.", source=_WORKER
    ),
    "end.queued": Branch(says="A job was left in the queue.", source=_HARNESS),
    "end.dead-lettered": Branch(says="A job was dead-lettered.", source=_QUORUM),
    "lost.automatic": Branch(says="A job was lost with the worker it was sent to: `auto_ack`.", source=_CONFIRMS),
    "lost.unfinished": Branch(
        says="A job was lost with the worker that had acknowledged it and not committed.", source=_CONFIRMS
    ),
    "lost.failed": Branch(says="A job was lost that failed, and was acknowledged all the same.", source=_WORKER),
    "lost.left": Branch(says="A job was lost that its worker acknowledged as it left.", source=_WORKER),
    "lost.written": Branch(
        says="A job was lost on its way to the broker: no confirm was waited for.", source=_CONFIRMS
    ),
    "lost.transient": Branch(says="A transient message was lost with its node.", source=_RELIABILITY),
    "lost.mirror": Branch(says="A mirrored queue lost a message at a failover.", source=_CLASSIC),
    "lost.limit": Branch(
        says="A job over its delivery limit was dropped: there is no dead-letter queue.", source=_QUORUM
    ),
    "lost.dead-letter": Branch(
        says="A job was lost on its way to the dead-letter queue, which is at-most-once.", source=_QUORUM
    ),
    "lost.expired": Branch(says="A message expired, or was the oldest of too many.", source=_QUORUM),
}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The statements a contract rests on. The defaults are the right ones."""

    #: A message that was delivered before is flagged; never is a wrong model.
    redeliveries_flagged: bool = True
    #: A message fetched ahead by a worker that goes away comes back flagged.
    fetched_ahead_returns: bool = True
    #: What a dead worker had not acknowledged is delivered again.
    exit_returns: bool = True
    #: What was not acknowledged over a connection that is lost is delivered again, its worker alive or not.
    lost_connection_returns: bool = True
    #: A fault on the nodes returns messages whose worker is well.
    node_fault_returns: bool = True
    #: A rejected message goes back to the queue; else a reject would count as an acknowledgement.
    reject_returns: bool = True
    #: A lost connection counts against the delivery limit, as a reject does.
    lost_connection_counts: bool = True
    #: Added to the delivery limit.
    limit_offset: int = 0
    #: What is over the limit leaves the work queue for the dead letters.
    limit_moves: bool = True
    #: What is dead-lettered stays in the work queue, too.
    dead_letter_stays_queued: bool = False
    #: A message may be delivered before its confirm is seen.
    delivery_before_confirm: bool = True
    #: `ok` means that the job is done, not merely stored.
    confirm_means_done: bool = False
    #: A submit of unknown outcome may have reached the queue.
    unknown_may_be_enqueued: bool = True
    #: A submit of unknown outcome may have reached nothing.
    unknown_may_be_absent: bool = True
    #: What was only written to a socket may never reach the broker.
    written_may_be_lost: bool = True
    #: Transient messages do not survive their node.
    transient_may_be_lost: bool = True
    #: A mirrored classic queue may lose what it confirmed when nodes fail.
    mirror_may_lose: bool = True
    #: What was sent with `auto_ack` is forgotten by being sent.
    automatic_forgets: bool = True
    #: What was acknowledged before its commit is lost with its worker.
    unfinished_may_be_lost: bool = True
    #: What failed and was acknowledged all the same is lost.
    failed_may_be_lost: bool = True
    #: What its worker acknowledged as it left is lost.
    left_may_be_lost: bool = True
    #: An acknowledgement may be lost with its connection.
    acknowledgement_may_be_lost: bool = True
    #: A worker may die between its commit and its word of it.
    commit_may_be_unannounced: bool = True
    #: An acknowledgement that comes too late is passed over.
    late_acknowledgement: bool = True
    #: A worker that does not look for an earlier effect writes one for each delivery.
    effects_repeat: bool = True
