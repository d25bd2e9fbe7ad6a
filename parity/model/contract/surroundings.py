"""What is so for all jobs at a time, read from faults, exits and the states of nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from parity.history.events import Census, Event, Fault, Health, Instance, Lifecycle, Node, Phase
from parity.model.contract.circumstances import Circumstance
from parity.model.contract.life import EVERYBODY
from parity.model.settings import ModelSettings
from parity.scenario.steps import IN_TURN, NODES, WORKERS

#: How late a thing may be in the history, against what another source tells. Each worker's lines, the engine's word of
#: an exit and the producer's outcomes are read by threads of their own. In 57 runs on two busy cores a worker's lines
#: were up to a second behind the effects that were counted, and exits 0.1 s behind the deliveries that they caused.
LATENESS_US = 2_000_000

#: Faults on nodes that leave their processes alone and part nobody.
_MILD = frozenset({"disk_alarm", "memory_alarm"})
#: Faults on nodes that may end a process: by themselves, or because the node pauses or restarts itself afterwards.
_STOPPING = frozenset({"kill", "stop", "restart", "pause", "isolate", "partition", "out_of_memory"})
#: Faults that are over at once for whoever was hit.
_SHARP = frozenset({"kill", "stop", "restart", "out_of_memory", "close_connections", "deploy"})

NEVER_US = 1 << 62


class Spell(NamedTuple):
    """A circumstance with its time."""

    circumstance: Circumstance
    start_us: int
    end_us: int


class Surroundings:
    """Follows a history's faults, exits and nodes.

    Args:
        settings: The stack.
        policies: The definitions of the policies that are set; None: what the history says of them is read.
    """

    def __init__(self, settings: ModelSettings, policies: Sequence[Mapping[str, Any]] | None = None) -> None:
        self._settings = settings
        #: Everything that was so and ended, or whose end is known; and of that what is not over.
        self._spells: list[Spell] = []
        self._running: list[Spell] = []
        #: What is so until further notice: key to circumstances and since when.
        self._open: dict[object, tuple[tuple[Circumstance, ...], int]] = {}
        self._roles: dict[str, str] = {}
        self._policies = policies
        self._mirrored = False
        #: Policies that were set and that the contract does not know.
        self.unknown: list[str] = []
        self._handlers: dict[type, Callable[[Any], tuple[Circumstance, ...]]] = {
            Fault: self._fault,
            Instance: self._instance,
            Lifecycle: self._lifecycle,
            Node: self._node,
            Phase: self._phase,
            Health: self._nothing,
            Census: self._nothing,
        }
        expiring = settings.broker.max_length is not None or settings.broker.message_ttl is not None
        if expiring:
            self._open["expiry"] = ((Circumstance("expiry"),), 0)
        if settings.broker.consumer_timeout is not None:
            # Whoever holds a job for longer than that may have lost it.
            start_us = round(settings.broker.consumer_timeout * 1e6)
            self._remember(Spell(Circumstance("connection", EVERYBODY), start_us, NEVER_US))

    def follow(self, event: Event) -> tuple[Circumstance, ...]:
        """Take note of an event.

        Returns:
            What it makes so from now on, or made so just now.
        """
        handler = self._handlers.get(type(event))
        return handler(event) if handler else ()

    def moments(self, start_us: int) -> list[tuple[int, Circumstance]]:
        """What began since a moment, or was so then, with when: in the order in which it began."""
        spells = [spell for spell in self._all() if spell.end_us >= start_us]
        found = {(max(spell.start_us, start_us), spell.circumstance) for spell in spells}
        return sorted(found)

    def during(self, start_us: int, end_us: int) -> list[Circumstance]:
        """What was so throughout some time, exits left out."""
        lasting = [spell for spell in self._all() if spell.start_us <= start_us and spell.end_us >= end_us]
        return list(dict.fromkeys(spell.circumstance for spell in lasting if spell.circumstance.kind != "exit"))

    def _all(self) -> list[Spell]:
        lasting = [
            Spell(circumstance, since_us, NEVER_US)
            for circumstances, since_us in self._open.values()
            for circumstance in circumstances
        ]
        return [*self._spells, *lasting]

    def now(self, t_us: int) -> tuple[tuple[Circumstance, ...], int]:
        """What is so at a moment, exits left out, and until when that is all."""
        spells = self._running = [spell for spell in self._running if spell.end_us >= t_us]
        current = [spell.circumstance for spell in spells if spell.start_us <= t_us]
        current += [circumstance for circumstances, _ in self._open.values() for circumstance in circumstances]
        changes = [spell.end_us if spell.start_us <= t_us else spell.start_us for spell in spells]
        return tuple(dict.fromkeys(current)), min(changes, default=NEVER_US)

    def _begin(self, key: object, circumstances: tuple[Circumstance, ...], t_us: int) -> tuple[Circumstance, ...]:
        if key not in self._open:
            self._open[key] = (circumstances, t_us)
        return circumstances

    def _end(self, key: object, end_us: int) -> None:
        circumstances, since_us = self._open.pop(key, ((), 0))
        for circumstance in circumstances:
            self._remember(Spell(circumstance, since_us, end_us))

    def _remember(self, spell: Spell) -> None:
        self._spells.append(spell)
        if spell.circumstance.kind != "exit":
            self._running.append(spell)

    def _nothing(self, _event: Event) -> tuple[Circumstance, ...]:
        return ()

    def _fault(self, event: Fault) -> tuple[Circumstance, ...]:
        if event.kind == "set_policy":
            self._policy(event)
            return ()
        key = ("fault", event.fault, event.on)
        if event.phase == "applying":
            return self._begin(key, self._of_fault(event), event.t_us)
        if event.phase in ("healed", "failed"):
            self._end(key, event.t_us + self._aftermath_us(event))
        return ()

    def _policy(self, event: Fault) -> None:
        if event.phase != "applied":
            return
        if self._policies is None:
            mirrored = " mirrors of " in event.detail
            if not mirrored and "quorum queue" not in event.detail:
                self.unknown.append(event.detail)
        else:
            mirrored = any("ha-mode" in policy for policy in self._policies)
        self._mirrored = self._mirrored or (mirrored and self._settings.broker.queue_type == "classic")

    def _of_fault(self, event: Fault) -> tuple[Circumstance, ...]:
        if event.kind == "submit":
            return ()
        if event.kind in ("scale", "deploy"):
            return (Circumstance("connection", EVERYBODY), *self._leaving(EVERYBODY))
        found: list[Circumstance] = []
        for name in event.on:
            role = self._role(event.target, name)
            if role == "worker":
                found += [Circumstance("connection", name), *(self._leaving(name) if event.kind == "stop" else ())]
            elif role == "producer":
                found.append(Circumstance("publishing"))
            elif role == "database":
                found += [Circumstance("database"), *([Circumstance("crashed")] if event.kind in _STOPPING else [])]
            else:
                found += self._of_node_fault(event.kind)
        return tuple(dict.fromkeys(found))

    def _leaving(self, worker: str) -> tuple[Circumstance, ...]:
        acknowledges = self._settings.worker.on_stop == "acknowledge"
        return (Circumstance("leaving", worker),) if acknowledges else ()

    def _of_node_fault(self, kind: str) -> list[Circumstance]:
        if kind in _MILD:
            return [Circumstance("publishing")]
        found = [Circumstance("nodes"), Circumstance("publishing")]
        if kind in _STOPPING:
            found.append(Circumstance("stopped"))
        if self._mirrored:
            found.append(Circumstance("mirrors"))
        return found

    def _role(self, target: str, name: str) -> str:
        """What a name stands for; `the same` means what it meant before."""
        if target in WORKERS:
            self._roles[name] = "worker"
        elif target in (*NODES, IN_TURN):
            self._roles[name] = "node"
        elif target in ("database", "producer"):
            self._roles[name] = target
        return self._roles.get(name, "node")

    def _aftermath_us(self, event: Fault) -> int:
        """How long after its end a fault may still cost connections."""
        if event.kind in _SHARP and all(self._roles.get(name) != "node" for name in event.on):
            return LATENESS_US
        # A side that heard nothing gives the other up after two heartbeats, a node after 1.25 net_ticktime.
        heartbeat_s = max(self._settings.worker.heartbeat, self._settings.producer.heartbeat)
        silent_s = max(2 * heartbeat_s, 1.25 * self._settings.broker.net_ticktime)
        return LATENESS_US + round(silent_s * 1e6)

    def _instance(self, event: Instance) -> tuple[Circumstance, ...]:
        self._roles[event.instance] = "worker"
        if event.state != "exited":
            return ()
        circumstance = Circumstance("exit", event.instance)
        self._remember(Spell(circumstance, event.t_us, event.t_us))
        return (circumstance,)

    def _lifecycle(self, event: Lifecycle) -> tuple[Circumstance, ...]:
        key = ("termination", event.instance)
        if event.state.startswith("Terminating") and (event.state != "Terminating:Wait" or self._leaves_in_hook()):
            # Its worker leaves the broker, and gives back what it has: long before its exit is told, and in a hook that
            # has it finish its work the instance lives on.
            found = (Circumstance("connection", event.instance), *self._leaving(event.instance))
            return self._begin(key, found, event.t_us)
        self._end(key, event.t_us + LATENESS_US)
        return ()

    def _leaves_in_hook(self) -> bool:
        return self._settings.worker.in_hook == "drain"

    def _node(self, event: Node) -> tuple[Circumstance, ...]:
        key = ("node", event.node)
        if event.state == "running":
            heartbeat_s = max(self._settings.worker.heartbeat, self._settings.producer.heartbeat)
            self._end(key, event.t_us + LATENESS_US + round(2e6 * heartbeat_s))
            return ()
        if self._roles.get(event.node) == "database":
            return self._begin(key, (Circumstance("database"),), event.t_us)
        return self._begin(key, tuple(self._of_node_fault("kill")), event.t_us)

    def _phase(self, event: Phase) -> tuple[Circumstance, ...]:
        if event.phase != "census":
            return ()
        # The census kills every worker and producer itself.
        gone = (Circumstance("connection", EVERYBODY), Circumstance("closing"))
        return self._begin("census", gone, event.t_us)
