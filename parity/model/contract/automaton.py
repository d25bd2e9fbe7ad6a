"""The contract as an automaton over sets of lives, made as it is walked.

A set of lives is a node, a thing seen is an edge. Jobs are many and their histories few: after some thousand events
every step is one look-up, whatever the contract would have to work out for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from parity.history.events import Delivery, Effect, Event, Found, Point, Submit, Submitted
from parity.model.contract.circumstances import Circumstance, Permissions, Together
from parity.model.contract.deviations import DEVIATIONS, Deviation
from parity.model.contract.life import Allowed, Clauses, Denied, Life, Step
from parity.model.contract.rules import BRANCHES, Rules
from parity.model.settings import ModelSettings

#: A thing seen of a job. Each is what a single look at the event gives, since one is made for every event:
#:
#:     ("ordinary" or the kind, "submit")      Submit
#:     "ok", "fail", "info"                    Submitted
#:     (True, False or None, worker)           Delivery
#:     (point, worker)                         Point
#:     count                                   Effect
#:     (place, "found")                        Found
#:     "ended"                                 a complete census found no more of it
#:     Circumstance                            what is so for many jobs at a time
#:     Together                                several of them
Symbol: TypeAlias = "str | int | tuple[bool | str | None, str] | Circumstance | Together"

SUBMIT, FOUND, ENDED = "submit", "found", "ended"


def symbol_of(event: Event) -> Symbol | None:
    """What an event is to the job it is of; None where it is of none."""
    match event:
        case Submit():
            return (event.kind, SUBMIT)
        case Submitted():
            return event.outcome
        case Delivery():
            return (event.redelivered, event.worker)
        case Point():
            return (event.point, event.worker)
        case Effect():
            return event.count
        case Found():
            return (event.place, FOUND)
        case _:
            return None


class Edge:
    """One step from a set of lives."""

    __slots__ = ("certain", "count", "denied", "possible", "target")

    def __init__(
        self, target: Node, certain: frozenset[str], possible: frozenset[str], denied: tuple[str, ...]
    ) -> None:
        #: Where it leads; the node without lives where the contract forbids the step.
        self.target = target
        #: How often it was taken.
        self.count = 0
        #: Branches that every remaining life shows, and those that only some do.
        self.certain = certain
        self.possible = possible
        #: The rules that forbid the step, the most telling first; empty where it is allowed.
        self.denied = denied


class Node(dict[Symbol, Edge]):
    """A set of lives; reading a symbol gives the step, worked out the first time."""

    __slots__ = ("_automaton", "acknowledging", "finished", "lives")

    def __init__(self, automaton: Automaton, lives: frozenset[Life]) -> None:
        super().__init__()
        self._automaton = automaton
        self.lives = lives
        #: An acknowledgement may be on its way.
        self.acknowledging = any(life.place == "acknowledged" for life in lives)
        #: Nothing more has to come.
        self.finished = bool(lives) and all(_is_finished(life) for life in lives)

    def __missing__(self, symbol: Symbol) -> Edge:
        edge = self._automaton.work_out(self, symbol)
        self[symbol] = edge
        return edge

    def union(self, nodes: Iterable[Node]) -> Node:
        """The node of the lives of several nodes."""
        return self._automaton.node(life for node in nodes for life in node.lives)

    def settled(self) -> Node:
        """The node after all acknowledgements that were on their way have arrived."""
        return self._automaton.settled(self) if self.acknowledging else self

    def __hash__(self) -> int:  # type: ignore[override]  # a node is itself, whatever steps are known of it
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def _is_finished(life: Life) -> bool:
    """The outcome is known, no worker has the job in hand, and the job is done or was refused.

    One that was acknowledged over a connection that then broke may be back in the queue; it stays in doubt.
    """
    if life.outcome in ("", "due") or life.hands:
        return False
    return life.place == "refused" or (life.counted > 0 and (life.answered or life.place in ("forgotten", "dropped")))


#: Rules that say less than the others where lives break different ones.
_VAGUE = ("custody.one-holder", "census.kept")


class Contract:
    """What a stack promises of one job, as far as a client can see it.

    Args:
        settings: The stack.
        rules: The statements about it; others than the default make a wrong model.
        policies: The definitions of the policies that the scenario sets; None: what the history says of them is read.
        deviations: Where the stack is known to break a rule.
    """

    def __init__(
        self,
        settings: ModelSettings,
        rules: Rules | None = None,
        *,
        policies: Sequence[Mapping[str, Any]] | None = None,
        deviations: Iterable[Deviation] = DEVIATIONS,
    ) -> None:
        self.settings = settings
        self.rules = rules or Rules()
        self.policies = policies
        concerned = [one for one in deviations if settings.broker.queue_type in one.queue_types]
        #: The id of the deviation that explains a broken rule.
        self.deviations = {one.rule: one.id for one in concerned}

    def uncovered(self) -> list[str]:
        """Settings that the contract says nothing about: a history of such a stack is neither right nor wrong."""
        worker, producer = self.settings.worker, self.settings.producer
        checks = {
            "worker.commit_every above 1": worker.commit_every > 1,
            f"worker.on_commit_error {worker.on_commit_error} of jobs acknowledged before": (
                worker.on_commit_error != "retry" and worker.acknowledge != "after-commit"
            ),
            f"worker.on_failure {worker.on_failure}": worker.on_failure == "republish",
            "worker.acknowledge_stale": worker.acknowledge_stale,
            "worker.heartbeat_in_job off": not worker.heartbeat_in_job,
            "producer.mandatory off": not producer.mandatory,
            "producer.outbox": producer.outbox,
            "producer resubmits": "resubmit" in (producer.on_timeout, producer.on_connection_lost),
            "broker.auto_delete": self.settings.broker.auto_delete,
            "broker.durable off": not self.settings.broker.durable,
        }
        strange = {key for policy in self.policies or () for key in policy if not key.startswith("ha-")}
        return [what for what, so in checks.items() if so] + [f"a policy's {key}" for key in sorted(strange)]

    def branches(self) -> frozenset[str]:
        """The branches that the settings allow."""
        clauses, settings = Clauses(self.settings, self.rules), self.settings
        quorum = settings.broker.queue_type == "quorum"
        expiring = settings.broker.max_length is not None or settings.broker.message_ttl is not None
        #: What a worker answers that could not do a job.
        answers: set[str] = {settings.worker.on_failure} if settings.poison else set()
        answers |= {settings.worker.on_commit_error} - {"retry"}
        only = {
            "lost.automatic": clauses.automatic,
            "lost.unfinished": settings.worker.acknowledge == "before-commit",
            "lost.written": clauses.trusting,
            "lost.transient": not quorum and not settings.producer.persistent,
            "lost.mirror": not quorum,
            "delivery.copy": not quorum,
            "lost.limit": clauses.limit is not None and not settings.broker.dead_letter,
            "lost.dead-letter": settings.broker.dead_letter,
            "lost.expired": expiring and not settings.broker.dead_letter,
            "end.dead-lettered": settings.broker.dead_letter and (clauses.limit is not None or expiring),
            "effect.repeated": not clauses.once,
            "effect.gone": not settings.database.synchronous_commit,
            "delivery.after-reject": "requeue" in answers and not clauses.automatic,
            "work.rejected": bool(answers) and not clauses.automatic,
            "lost.failed": "acknowledge" in answers and not clauses.automatic,
            "lost.left": settings.worker.on_stop == "acknowledge" and not clauses.automatic,
        }
        manual = (
            "work.acknowledged",
            "work.acknowledged-late",
            "delivery.acknowledged",
            "delivery.fetched-ahead",
            "delivery.stale",
        )
        only |= dict.fromkeys(manual, not clauses.automatic)
        only |= dict.fromkeys(("delivery.after-worker", "delivery.after-nodes"), not clauses.automatic or quorum)
        return frozenset(name for name in BRANCHES if only.get(name, True))


class Automaton:
    """A contract's sets of lives, with how often each step was taken. One for each history.

    Args:
        contract: What is promised.
    """

    def __init__(self, contract: Contract) -> None:
        self._clauses = Clauses(contract.settings, contract.rules)
        self._permissions = Permissions(self._clauses)
        self._nodes: dict[frozenset[Life], Node] = {}
        #: No life fits: the contract forbids what was seen.
        self.nowhere = self.node(())
        #: A job nobody has heard of.
        self.start = self.node([Life()])

    def node(self, lives: Iterable[Life]) -> Node:
        """The node of a set of lives."""
        known = frozenset(lives)
        node = self._nodes.get(known)
        if node is None:
            node = self._nodes[known] = Node(self, known)
        return node

    def settled(self, node: Node) -> Node:
        """The node after all acknowledgements that were on their way have arrived."""
        return self.node(
            life._replace(holder="", place="forgotten" if life.place == "acknowledged" else life.place)
            for life in node.lives
        )

    @property
    def size(self) -> int:
        """How many sets of lives there are."""
        return len(self._nodes)

    def work_out(self, node: Node, symbol: Symbol) -> Edge:
        """The step that a symbol is."""
        if isinstance(symbol, Circumstance):
            lives = {after for life in node.lives for after in self._permissions.lives(life, symbol)}
            return Edge(self.node(lives), frozenset(), frozenset(), ())
        if isinstance(symbol, Together):
            target = node
            for circumstance in symbol.circumstances:
                target = target[circumstance].target
            return Edge(target, frozenset(), frozenset(), ())
        steps = [self.step(life, symbol) for life in node.lives]
        allowed = [step for step in steps if isinstance(step, Allowed)]
        # Nearly any delivery could be a stale one where faults are; it counts as one where nothing else explains it.
        plain = [step for step in allowed if step.branch != "delivery.stale"] or allowed
        shown = [frozenset([step.branch] if step.branch else []) for step in plain]
        certain = frozenset.intersection(*shown) if shown else frozenset()
        possible = frozenset().union(*shown) - certain
        denied = Counter(step.rule for step in steps if isinstance(step, Denied))
        rules = () if allowed else tuple(sorted(denied, key=lambda rule: (rule in _VAGUE, -denied[rule], rule)))
        return Edge(self.node(step.life for step in allowed), certain, possible, rules)

    def step(self, life: Life, symbol: Symbol) -> Step:  # noqa: PLR0911 - one return a kind of symbol
        """What a thing seen makes of one life."""
        clauses = self._clauses
        match symbol:
            case int():
                return clauses.effect(life, symbol)
            case "ok" | "fail" | "info":
                return clauses.submitted(life, symbol)
            case str():
                return clauses.ended(life)
            case (kind, "submit") if isinstance(kind, str):
                return clauses.submit(life, kind)
            case (place, "found") if isinstance(place, str):
                return clauses.found(life, place)
            case ("committed", worker):
                return clauses.committed(life, worker)
            case ("acknowledged", worker):
                return clauses.acknowledged(life, worker)
            case ("rejected", worker):
                return clauses.rejected(life, worker)
            case (flag, worker) if flag is None or isinstance(flag, bool):
                return clauses.delivery(life, worker, flag)
            case _:
                return Allowed(life)

    def shown(self) -> tuple[Counter[str], Counter[str]]:
        """How often each branch was shown for certain, and how often it may have been."""
        certain: Counter[str] = Counter()
        possible: Counter[str] = Counter()
        for node in self._nodes.values():
            for edge in node.values():
                if edge.count:
                    certain.update(dict.fromkeys(edge.certain, edge.count))
                    possible.update(dict.fromkeys(edge.possible, edge.count))
        return certain, possible
