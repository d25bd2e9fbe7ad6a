"""One job's life as a client can see it: the states it may be in, and what each thing seen makes of them.

A `Life` is one guess at where the job is. Some of what happens is hidden - whether the broker got a publish, whether
a message was fetched ahead by a worker that died - so that a filter keeps a set of lives, and what is seen strikes
out those that do not fit. What is seen has one consequence for each life; what is hidden comes in by circumstances
(`parity.model.contract.circumstances`), and there only lives fork.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from parity.history.events import Outcome
from parity.model.contract.rules import Rules
from parity.model.settings import ModelSettings

#: Where the job's message may be.
#:
#:     nowhere       not submitted
#:     wire          handed to a producer: the broker has it or not, nobody can say
#:     queue         at the broker, not at a worker that told of it; it may be fetched ahead
#:     held          unacknowledged at its holder
#:     acknowledged  its holder acknowledged it; the acknowledgement may still be on its way
#:     forgotten     sent with `auto_ack`
#:     dead          in the dead-letter queue
#:     dropped       given up by the stack, for the reason in `why`
#:     refused       never at the broker
#:     copies        more than one message stands for the job; nothing is known of where they are
#:     found, found-dead  read out by the census
Place: TypeAlias = Literal[
    "nowhere",
    "wire",
    "queue",
    "held",
    "acknowledged",
    "forgotten",
    "dead",
    "dropped",
    "refused",
    "copies",
    "found",
    "found-dead",
]
#: How far a worker is with a job.
Stage: TypeAlias = Literal["delivered", "committed", "acknowledged", "rejected"]

#: A worker's name that stands for all of them.
EVERYBODY = "*"

#: Counts of deliveries, commits and effects are kept up to here: beyond it the sets would grow and say nothing more.
COUNT_MAX = 30


class Life(NamedTuple):
    """One guess at a job's state."""

    place: Place = "nowhere"
    #: What came of the submit; `due` until it is known.
    outcome: Outcome | Literal["", "due"] = ""
    #: What the job does to its worker.
    nature: Literal["", "fails", "crashes"] = ""
    #: Who holds the message, or acknowledged it last.
    holder: str = ""
    #: How often the message went back to the queue: the broker's delivery count, as far as it matters.
    returns: int = 0
    #: What sent it back last (`reject`, `worker` or `nodes`), why it was dropped, or that it was acknowledged though it
    #: had failed.
    why: str = ""
    #: The workers that have the job in hand, each as far as it said, whoever holds the message by now.
    hands: tuple[tuple[str, Stage], ...] = ()
    #: A worker (or everybody) that may have fetched the message ahead over a connection that was lost, and the flag it
    #: got: until it notices it may begin the job all the same.
    stale: tuple[str, bool] | None = None
    #: Deliveries that workers told of, commits they told of, and the last count of effects.
    told: int = 0
    committed: int = 0
    counted: int = 0
    #: The worker of the last delivery said that it acknowledged the job.
    answered: bool = False
    #: Something stood between producer and broker while the outcome was due.
    disturbed: bool = False
    #: The database may have lost what it had committed.
    unsure: bool = False
    #: The database was disturbed, so that a commit may have failed, or have been tried twice.
    retried: bool = False


class Allowed(NamedTuple):
    """The life goes on."""

    life: Life
    #: The branch that this shows; empty where it shows none.
    branch: str = ""


class Denied(NamedTuple):
    """The life cannot have been so."""

    rule: str


Step: TypeAlias = Allowed | Denied

_GOING_ON: frozenset[Place] = frozenset({"wire", "queue", "held", "acknowledged"})


class Clauses:
    """What each thing seen makes of a life.

    Args:
        settings: The stack.
        rules: The statements about it.
    """

    def __init__(self, settings: ModelSettings, rules: Rules) -> None:
        self.settings = settings
        self.rules = rules
        self.automatic = settings.worker.acknowledge == "automatic"
        self.once = settings.worker.deduplicate == "transaction" or not rules.effects_repeat
        self.count_max = 1 if self.once else COUNT_MAX
        limit = settings.broker.delivery_limit if settings.broker.queue_type == "quorum" else None
        self.limit = None if limit is None or not rules.limit_moves else limit + rules.limit_offset
        #: Whether a lost publish can still be called ok.
        self.trusting = settings.producer.ok_when != "confirmed" or "ok" in (
            settings.producer.on_timeout,
            settings.producer.on_connection_lost,
            settings.producer.on_nack,
        )
        #: Whether a publish that arrived can be called refused.
        self.pessimistic = "fail" in (
            settings.producer.on_timeout,
            settings.producer.on_connection_lost,
            settings.producer.on_nack,
        )

    def submit(self, life: Life, kind: str) -> Step:
        """The job was handed to a producer."""
        if life.outcome:
            return Denied("submit.first")
        nature: Literal["", "fails", "crashes"] = (
            "fails" if kind in self.settings.poison else "crashes" if kind in self.settings.crash else ""
        )
        return Allowed(life._replace(place="wire", outcome="due", nature=nature))

    def submitted(self, life: Life, outcome: Outcome) -> Step:
        """The outcome of the submit came."""
        if life.outcome != "due":
            return Denied("submit.one-outcome" if life.outcome else "submit.first")
        settled = life._replace(outcome=outcome, disturbed=life.disturbed and life.place == "wire")
        if outcome == "ok":
            return self._confirmed(settled)
        if not life.disturbed:
            return Denied("submit.undisturbed")
        if outcome == "info":
            absent = not self.rules.unknown_may_be_enqueued and life.told > 0
            if absent:
                return Denied("submit.confirmed")
            return Allowed(settled, "unknown.enqueued" if life.told else "submit.unknown")
        if life.place == "wire" and not self.pessimistic:
            return Allowed(settled._replace(place="refused"), "submit.refused")
        return Allowed(settled, "submit.refused") if self.pessimistic else Denied("submit.refused")

    def _confirmed(self, life: Life) -> Step:
        if self.rules.confirm_means_done and not life.counted:
            return Denied("submit.confirmed")
        if life.place == "wire" and not self.trusting:
            life = life._replace(place="queue", disturbed=False)
        return Allowed(life, "submit.confirmed-late" if life.told else "submit.confirmed")

    def delivery(self, life: Life, worker: str, flag: bool | None) -> Step:  # noqa: FBT001 - the event's own flag
        """A worker said that it was handed the job."""
        denied = self._undeliverable(life, flag)
        if denied and life.stale in ((worker, flag), (EVERYBODY, flag)):
            return Allowed(self._in_hand(life._replace(stale=None), worker), "delivery.stale")
        if denied:
            return Denied(denied)
        branch = self._delivery_branch(life)
        place: Place = "copies" if life.place == "copies" else "forgotten" if self.automatic else "held"
        life = life._replace(place=place, holder=worker if place == "held" else "", why="", answered=False)
        return Allowed(self._in_hand(life, worker), branch)

    def _in_hand(self, life: Life, worker: str) -> Life:
        return _moved_on(life, worker, "delivered")._replace(told=min(life.told + 1, self.count_max))

    def _undeliverable(self, life: Life, flag: bool | None) -> str:  # noqa: FBT001 - the event's own flag
        """The rule that a delivery would break; empty where there is none."""
        early = life.outcome == "due" and not self.rules.delivery_before_confirm
        absent = life.outcome == "info" and life.place == "wire" and not self.rules.unknown_may_be_enqueued
        if life.place == "nowhere":
            return "submit.first"
        if early or absent:
            return "submit.confirmed"
        if life.place in ("wire", "queue"):
            if life.answered and not self.rules.acknowledgement_may_be_lost:
                return "custody.acknowledged"
            flagged = life.returns > 0 and self.rules.redeliveries_flagged
            return "" if flag is None or flag == flagged else "custody.flag"
        return {
            "held": "custody.one-holder",
            "acknowledged": "custody.acknowledged",
            "forgotten": "custody.acknowledged",
            "refused": "submit.refused",
            "copies": "",
        }.get(life.place, "custody.given-up")

    @staticmethod
    def _delivery_branch(life: Life) -> str:
        if life.place == "copies":
            return "delivery.copy" if life.told else "delivery.first"
        if not life.returns:
            return "unknown.enqueued" if life.outcome == "info" and not life.told else "delivery.first"
        if not life.told:
            return "delivery.fetched-ahead"
        return "delivery.acknowledged" if life.answered else f"delivery.after-{life.why}"

    def committed(self, life: Life, worker: str) -> Step:
        """A worker said that the job's effect is in the database."""
        before = "acknowledged" if self.settings.worker.acknowledge == "before-commit" else "delivered"
        if life.nature:
            return Denied("work.failing")
        if (worker, before) not in life.hands:
            return Denied("work.order")
        after: Stage | None = "committed" if self.settings.worker.acknowledge == "after-commit" else None
        life = _moved_on(life, worker, after)
        return Allowed(life._replace(committed=min(life.committed + 1, self.count_max)), "work.committed")

    def acknowledged(self, life: Life, worker: str) -> Step:
        """A worker said that it acknowledged the job."""
        first = self.settings.worker.acknowledge == "before-commit"
        failed = (worker, "rejected") in life.hands
        stage: Stage = "rejected" if failed else "delivered" if first else "committed"
        if self.automatic or (worker, stage) not in life.hands:
            return Denied("work.order")
        # With another worker at the job it is that one's word that counts.
        life = life._replace(answered=life.answered or life.hands == ((worker, stage),))
        life = _moved_on(life, worker, "acknowledged" if first and not failed else None)
        if life.place == "held" and life.holder == worker:
            life = life._replace(place="acknowledged", why="failed" if failed else life.why)
            return Allowed(life, "work.acknowledged")
        if life.place == "copies":
            return Allowed(life)
        return Allowed(life, "work.acknowledged-late") if self.rules.late_acknowledgement else Denied("work.order")

    def rejected(self, life: Life, worker: str) -> Step:
        """A worker said that it could not do the job, and is about to answer for it."""
        if (worker, "delivered") not in life.hands or self.automatic:
            return Denied("work.order")
        how = self._answer(life)
        if how == "acknowledge":
            return Allowed(_moved_on(life, worker, "rejected"), "work.rejected")
        if not how:
            return Denied("work.failing")
        life = _moved_on(life, worker, None)
        if life.place == "held" and life.holder == worker:
            if not self.rules.reject_returns:
                return Allowed(life._replace(place="acknowledged"), "work.rejected")
            life = self.given_up(life) if how == "reject" else self.returned(life, "reject")
        return Allowed(life, "work.rejected")

    def _answer(self, life: Life) -> str:
        """What a worker answers that could not do the job; empty where it would not have given it up."""
        worker = self.settings.worker
        if life.nature:
            return worker.on_failure if life.nature == "fails" else ""
        return worker.on_commit_error if life.retried and worker.on_commit_error != "retry" else ""

    def effect(self, life: Life, count: int) -> Step:
        """The job's effects were counted."""
        if not life.told:
            return Denied("effect.after-delivery")
        if count < life.counted:
            return Allowed(life._replace(counted=count), "effect.gone") if life.unsure else Denied("effect.stays")
        if life.nature:
            return Denied("work.failing")
        if count > life.told and not (life.retried and not self.once):
            return Denied("effect.once")
        if not life.committed and not self.rules.commit_may_be_unannounced:
            return Denied("work.order")
        return Allowed(
            life._replace(counted=min(count, self.count_max)), "effect.repeated" if count > 1 else "effect.counted"
        )

    def found(self, life: Life, place: str) -> Step:
        """The census found a message of the job."""
        if life.place == "nowhere":
            return Denied("submit.first")
        if life.place == "copies":
            return Allowed(life._replace(why="found"), "end.queued" if place == "queue" else "end.dead-lettered")
        if place == "dead_letter":
            dead = life.place == "dead"
            again: Place = "queue" if self.rules.dead_letter_stays_queued else "found-dead"
            return Allowed(life._replace(place=again), "end.dead-lettered") if dead else Denied("census.place")
        if life.place in ("wire", "queue"):
            return Allowed(life._replace(place="found"), "end.queued")
        return Denied("submit.refused" if life.place == "refused" else "census.place")

    def ended(self, life: Life) -> Step:
        """The census was complete and found no more of the job."""
        if life.committed > life.counted and not life.unsure:
            return Denied("effect.stays")
        if life.place in ("queue", "held", "dead"):
            return Denied("census.kept")
        if life.place == "wire":
            return self._never_arrived(life)
        gone_with_the_database = life.unsure and life.committed
        failed = life.why == "failed" and self.rules.failed_may_be_lost
        if life.place in ("acknowledged", "forgotten") and not life.counted and failed:
            return Allowed(life, "lost.failed" if life.outcome == "ok" else "")
        if life.place in ("acknowledged", "forgotten") and not life.counted and not gone_with_the_database:
            return Denied("effect.stays" if life.place == "acknowledged" else "census.kept")
        if not life.counted and life.outcome == "ok":
            if life.place == "copies" and life.why != "found":
                return Allowed(life, "lost.mirror")
            if life.place == "dropped":
                return Allowed(life, f"lost.{life.why}")
        return Allowed(life, "effect.unannounced" if life.counted and not life.committed else "")

    def _never_arrived(self, life: Life) -> Step:
        if life.outcome == "ok":
            permitted = life.disturbed and self.rules.written_may_be_lost
            return Allowed(life, "lost.written") if permitted else Denied("census.kept")
        if not self.rules.unknown_may_be_absent:
            return Denied("census.kept")
        return Allowed(life, "unknown.absent")

    def returned(self, life: Life, why: str) -> Life:
        """The message went back to the queue, or over its delivery limit."""
        counts = self.rules.lost_connection_counts or why == "reject" or not life.returns
        most = 1 if self.limit is None else self.limit + 1
        returns = min(life.returns + counts, most)
        back = life._replace(place="queue", holder="", returns=returns, why=why)
        over = self.limit is not None and returns > self.limit
        return self.given_up(back) if over else back

    def given_up(self, life: Life) -> Life:
        """The message went to the dead letters, or was dropped."""
        life = life._replace(holder="", returns=0)
        if self.settings.broker.dead_letter:
            return life._replace(place="dead", why="")
        return life._replace(place="dropped", why="limit")


def _moved_on(life: Life, worker: str, stage: Stage | None) -> Life:
    """The worker is at another stage of the job, or through with it."""
    hands = tuple(hand for hand in life.hands if hand[0] != worker)
    return life._replace(hands=hands if stage is None else tuple(sorted((*hands, (worker, stage)))))


def is_going_on(life: Life) -> bool:
    """Whether a circumstance can still touch the job's message."""
    return life.place in _GOING_ON
