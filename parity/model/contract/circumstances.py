"""What faults and deaths permit: the hidden things that may have become of a job's message.

A circumstance never forces anything on a message, it permits: the life as it was stays among the possible ones, beside
those in which something happened. Only a worker's exit is also a fact: what it had in hand it will say nothing more of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from parity.model.contract.life import EVERYBODY, Clauses, Life, is_going_on

#:     connection  a worker's connection may be lost
#:     exit        a worker ended
#:     leaving     a worker was told to stop, and acknowledges what it has
#:     nodes       connections and leaders may change, as nodes are disturbed
#:     stopped     a node's process may have ended
#:     mirrors     a mirror may be promoted, or two leaders be there at a time
#:     publishing  something stands between producer and broker
#:     closing     the producers are ended
#:     database    the database is disturbed
#:     crashed     the database's process was killed
#:     expiry      messages may expire, or be too many
Kind: TypeAlias = Literal[
    "connection",
    "exit",
    "leaving",
    "nodes",
    "stopped",
    "mirrors",
    "publishing",
    "closing",
    "database",
    "crashed",
    "expiry",
]


class Circumstance(NamedTuple):
    """Something that is so for many jobs at a time."""

    kind: Kind
    #: The worker, or `EVERYBODY`; empty where no worker is concerned.
    worker: str = ""


class Together:
    """Several circumstances at a time, as one step. It is itself and no other: one look-up, whatever they are.

    Args:
        circumstances: In the order in which they began.
    """

    __slots__ = ("circumstances",)

    def __init__(self, circumstances: tuple[Circumstance, ...]) -> None:
        self.circumstances = circumstances


class Permissions:
    """What a circumstance permits.

    Args:
        clauses: The stack's.
    """

    def __init__(self, clauses: Clauses) -> None:
        self._clauses = clauses
        self._settings = clauses.settings
        self._rules = clauses.rules

    def lives(self, life: Life, circumstance: Circumstance) -> set[Life]:
        """The lives that one may have become."""
        match circumstance.kind:
            case "connection":
                return {life, *self._connection(life, circumstance.worker)}
            case "exit":
                return {self._without(left, circumstance.worker) for left in self._left(life, circumstance.worker)}
            case "leaving":
                return {life, *self._leaving(life, circumstance.worker)}
            case "nodes":
                return {life, *self._nodes(life)}
            case "stopped":
                return {life, *self._stopped(life)}
            case "mirrors":
                return {life, *self._mirrors(life)}
            case "expiry":
                return {life, *self._expiry(life)}
            case _:
                return {self._marked(life, circumstance.kind)}

    def _connection(self, life: Life, worker: str) -> Iterator[Life]:
        if self._rules.lost_connection_returns:
            yield from self._back(life, worker, "worker")

    def _back(self, life: Life, worker: str, why: str) -> Iterator[Life]:
        """What the broker makes of the messages of a connection that it lost."""
        theirs = worker in (EVERYBODY, life.holder)
        if life.place in ("wire", "queue"):
            if self._clauses.automatic and self._rules.automatic_forgets:
                yield life._replace(place="dropped", why="automatic")
                if self._settings.broker.queue_type == "quorum":
                    # Real: a quorum queue counts a message as sent only when the consumer's channel has settled it; a
                    # channel that ends before gives it back. Source: rabbit_fifo_client, and one run of many.
                    yield self._clauses.returned(life, why)
            elif self._rules.fetched_ahead_returns:
                yield self._clauses.returned(life, why)._replace(stale=(worker, life.returns > 0))
        elif theirs and (
            life.place == "held" or (life.place == "acknowledged" and self._rules.acknowledgement_may_be_lost)
        ):
            yield self._clauses.returned(life, why)

    def _left(self, life: Life, worker: str) -> Iterator[Life]:
        """What becomes of a message whose worker ended."""
        yield life
        if self._settings.worker.log_shipping != "none" and life.place == "held" and life.holder == worker:
            # Its lines come through another process, which is killed with it: its last ones may be lost on the way.
            yield life._replace(place="acknowledged")
        if self._rules.exit_returns:
            yield from self._back(life, worker, "worker")
        elif life.place == "held" and life.holder == worker:
            yield life._replace(place="dropped", why="unfinished")

    def _without(self, life: Life, worker: str) -> Life:
        """The life after a worker has said its last word."""
        if life.stale and life.stale[0] == worker:
            life = life._replace(stale=None)
        if not any(hand[0] == worker for hand in life.hands):
            return life
        hands = tuple(hand for hand in life.hands if hand[0] != worker)
        life = life._replace(hands=hands)
        if life.counted or hands:
            return life
        if life.place == "forgotten" and self._clauses.automatic:
            if self._rules.automatic_forgets:
                return life._replace(place="dropped", why="automatic")
            return self._clauses.returned(life, "worker")
        early = self._settings.worker.acknowledge == "before-commit"
        if life.place in ("acknowledged", "forgotten") and early and self._rules.unfinished_may_be_lost:
            return life._replace(place="dropped", why="unfinished")
        return life

    def _leaving(self, life: Life, worker: str) -> Iterator[Life]:
        """What becomes of a message that its worker acknowledges as it leaves, begun or not."""
        theirs = life.place in ("wire", "queue") or (life.place == "held" and worker in (EVERYBODY, life.holder))
        if theirs and self._rules.left_may_be_lost:
            yield life._replace(place="dropped", holder="", why="left")

    def _nodes(self, life: Life) -> Iterator[Life]:
        if self._rules.node_fault_returns:
            for back in self._back(life, EVERYBODY, "nodes"):
                yield back
                if self._settings.broker.queue_type == "classic" and back.place == "queue":
                    # That a message was delivered is written behind its back; a node that dies may not know.
                    yield back._replace(returns=0)
        if life.place == "dead":
            yield life._replace(place="dropped", why="dead-letter")

    def _stopped(self, life: Life) -> Iterator[Life]:
        written = self._settings.broker.queue_type == "quorum" or (
            self._settings.producer.persistent and self._settings.broker.durable
        )
        if life.place in ("wire", "queue", "held") and not written and self._rules.transient_may_be_lost:
            yield life._replace(place="dropped", holder="", why="transient")

    def _mirrors(self, life: Life) -> Iterator[Life]:
        if is_going_on(life) and self._rules.mirror_may_lose:
            yield life._replace(place="dropped", holder="", why="mirror")
            yield life._replace(place="copies", holder="", why="")

    def _expiry(self, life: Life) -> Iterator[Life]:
        if life.place in ("wire", "queue"):
            given_up = self._clauses.given_up(life)
            yield given_up if given_up.place == "dead" else given_up._replace(why="expired")

    def _marked(self, life: Life, kind: Kind) -> Life:
        if kind in ("publishing", "closing"):
            on_its_way = life.outcome == "due" or (life.place == "wire" and kind == "publishing")
            return life._replace(disturbed=True) if on_its_way else life
        if kind == "database":
            given_up = self._settings.worker.on_commit_error != "retry"
            return life._replace(retried=True) if given_up or not self._clauses.once else life
        return life if self._settings.database.synchronous_commit else life._replace(unsure=True)
