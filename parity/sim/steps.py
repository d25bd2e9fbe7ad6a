"""The steps of a scenario in virtual time: each waits for its moment, is applied, kept, and healed."""

from __future__ import annotations

from collections.abc import Callable

from parity.history.events import Fault, FaultPhase
from parity.model.constants import NODE_STOP_US
from parity.model.timeline import Process
from parity.scenario.ranges import SecondsRange
from parity.scenario.scenario import Scenario
from parity.scenario.steps import IN_TURN, KINDS, SAME, THAT_WORKER, WORKERS, ZONES, EventCount, Step
from parity.sim.deploy import Deploy
from parity.sim.faults import FAULTS, Undo, times_us
from parity.sim.world import World

#: As the run on containers has it.
_ROLE_PATIENCE_US = 20_000_000
_MOMENT_PATIENCE_US = 30_000_000
_WORKERS_PATIENCE_US = 60_000_000
_LOOK_US = 200_000
#: Real: who a role is meant for is looked up every 0.05 s. Ours: the same, the first time after 0.01 or 0.03 s where
#: drawn. Why: a worker that holds a job is found in any moment of its work. Source: parity/run/steps.py.
_ROLE_LOOKS_US = (50_000, 10_000, 30_000)
_READY_AGAIN_US = 90_000_000
#: Real: from a line of a worker's or producer's log to the fault it calls for 0.005 to 0.6 s. Ours: 0.06 s; 0.005
#: or 0.24 s where drawn. Why: what hits a job in hand may come before it is done, or after. Source: the histories of 54
#: runs on containers, idle and loaded.
_REACTIONS_US = (60_000, 5_000, 240_000)


class Steps:
    """Carries the steps out.

    Args:
        world: What they happen to.
        scenario: As drawn.
        submit: Hands over so many jobs of a kind.
        on_over: Called when the last step is over and healed.
        late_us: How much later than its moment every fault comes that does not follow another; what is no fault needs
            no time to be applied.
    """

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        submit: Callable[[int, str], None],
        on_over: Callable[[], None],
        *,
        late_us: int = 0,
    ) -> None:
        self._world = world
        self._engine = world.engine
        self._observer = world.observer
        self._steps = scenario.steps
        self._submit = submit
        self._on_over = on_over
        self._late_us = late_us
        self._applied = [False] * len(self._steps)
        self._begun = [False] * len(self._steps)
        self._open = len(self._steps)
        self._busy = False
        self._queue: list[int] = []
        self._previous: list[Process] = []
        #: Whose instances the last call was about.
        self._called: list[str] = []
        #: What the scenario asked for that no model covers.
        self.unmodelled: list[str] = []
        #: Steps that could not be applied.
        self.failed: list[int] = []

    @property
    def over(self) -> bool:
        """Whether every step is over and healed."""
        return self._open == 0

    def start(self) -> None:
        """The workload begins, and the steps' time with it."""
        for index, step in enumerate(self._steps):
            if isinstance(step.at, SecondsRange):
                self._engine.after(self._late(step) + round(step.at.value_s * 1e6), self._came, index)
            elif isinstance(step.at, EventCount):
                if index == 0 or step.at is not None:
                    self._await_event(index, step.at)
            elif index == 0:
                self._engine.after(self._late(step), self._came, index)

    def _late(self, step: Step) -> int:
        return self._late_us if KINDS[step.kind].fault else 0

    def _await_event(self, index: int, moment: EventCount) -> None:
        reaction_us = self._late(self._steps[index]) + _REACTIONS_US[self._engine.integer(0, 2)]
        self._observer.when(
            moment.event, moment.count.value, lambda: self._engine.after(reaction_us, self._came, index)
        )

    def workload_done(self) -> None:
        """Moments of the history have so long to come from now on."""
        self._engine.after(_MOMENT_PATIENCE_US, self._give_up_moments)

    def _give_up_moments(self) -> None:
        for index, step in enumerate(self._steps):
            if isinstance(step.at, EventCount) and not self._begun[index]:
                self._begun[index] = True
                self._record(index, "failed", detail="its moment never came")
                self._was_applied(index)
                self._ended()

    def _record(self, index: int, phase: FaultPhase, on: tuple[str, ...] = (), detail: str = "") -> None:
        step = self._steps[index]
        if phase == "failed":
            self.failed.append(index)
        self._observer.record(Fault, fault=index, kind=step.kind, target=step.target, phase=phase, on=on, detail=detail)

    def _came(self, index: int) -> None:
        """A step's moment came; one fault is applied at a time, and what is no fault waits for none."""
        if self._begun[index]:
            return
        self._begun[index] = True
        kind = self._steps[index].kind
        if not KINDS[kind].fault:
            self._record(index, "applying")
            works_us, proved_us = self._times_us(kind)
            self._engine.after(works_us, self._change, index, proved_us)
        elif self._busy:
            self._queue.append(index)
        else:
            self._busy = True
            self._resolve(index, self._engine.now_us)

    def _free(self) -> None:
        if self._queue:
            self._resolve(self._queue.pop(0), self._engine.now_us)
        else:
            self._busy = False

    def _was_applied(self, index: int) -> None:
        self._applied[index] = True
        following = index + 1
        if following < len(self._steps):
            step = self._steps[following]
            if step.at is None:
                delay_us = round(step.after.value_s * 1e6) if step.after is not None else 0
                delay_us += 0 if KINDS[self._steps[index].kind].fault else self._late(step)
                self._engine.after(delay_us, self._came, following)

    def _ended(self) -> None:
        self._open -= 1
        if not self._open:
            self._on_over()

    def _resolve(self, index: int, since_us: int) -> None:
        step = self._steps[index]
        subjects = self._subjects(step)
        if subjects:
            self._record(index, "applying", _names(subjects))
            works_us, proved_us = self._times_us(step.kind)
            self._engine.after(works_us, self._apply, index, subjects, proved_us)
        elif self._engine.now_us - since_us >= _ROLE_PATIENCE_US:
            self._record(index, "failed", detail=f"there is no {step.target!r} at this moment")
            self._free()
            self._was_applied(index)
            self._ended()
        else:
            self._engine.after(self._role_look_us(since_us), self._resolve, index, since_us)

    def _role_look_us(self, since_us: int) -> int:
        """When a role is looked up again that nobody plays."""
        first = self._engine.now_us == since_us
        return _ROLE_LOOKS_US[self._engine.integer(0, 2) if first else 0]

    def _times_us(self, kind: str) -> tuple[int, int]:
        return times_us(kind, self._engine.integer(0, 2))

    def _subjects(self, step: Step) -> list[Process]:
        """What the step's role is right now."""
        world, target = self._world, step.target
        if target == SAME:
            return self._previous
        if target == "database":
            return [world.database]
        if target == "producer":
            return list(world.producers)
        if target in ZONES:
            assert world.group is not None
            return world.group.in_zones(step.pick.value if step.pick else None, everybody=step.kind == "lose_zone")
        return self._workers(step) if target in WORKERS else self._nodes(step)

    def _nodes(self, step: Step) -> list[Process]:
        nodes = self._world.cluster.nodes
        pick = step.pick.value if step.pick else 0
        leader = self._world.queue.leader
        if step.target == "any node":
            return [nodes[pick % len(nodes)]]
        if step.target == "queue leader":
            return [leader] if leader is not None else []
        if step.target == "queue follower":
            others = [node for node in nodes if node is not leader]
            return [others[pick % len(others)]] if leader is not None and others else []
        return list(nodes)

    def _workers(self, step: Step) -> list[Process]:
        return [self._world.workers[name] for name in self._in_role(step.target, step)]

    def _in_role(self, role: str, step: Step) -> list[str]:
        """The workers that a role is meant for right now, by name."""
        names = alive = self._world.alive()
        if role == "worker holding a job":
            names = [name for name in self._observer.holding() if name in alive][:1]
        elif role == "any worker":
            names = [alive[(step.pick.value if step.pick else 0) % len(alive)]] if alive else []
        elif role == THAT_WORKER:
            assert isinstance(step.at, EventCount)
            latest = self._observer.latest.get(step.at.event, "")
            names = [latest] if latest in alive else []
        elif role == SAME:
            names = [name for name in self._called if name in alive]
        return names

    # Changes.

    def _change(self, index: int, proved_us: int) -> None:
        step = self._steps[index]

        def done(refused: str) -> None:
            if refused:
                self._fail(index, refused)
            else:
                # Done, and over when it was seen.
                self._engine.after(proved_us, self._changed, index)

        if step.kind == "submit":
            assert step.jobs is not None
            self._submit(step.jobs.value, step.of_kind or "")
            done("")
        elif step.kind == "call":
            self._call(step, self._engine.now_us, done)
        elif step.kind == "scale":
            self._scale(index, step)
        elif step.kind == "deploy":
            self._deploy(step, done)
        else:
            assert step.policy is not None
            self._set_policy(dict(step.policy.get("definition", {})))
            done("")

    def _scale(self, index: int, step: Step) -> None:
        assert step.workers is not None
        if refused := self._world.scale(step.workers.value):
            self._fail(index, refused)
        else:
            self._engine.after(0, self._await_workers, index, step.workers.value, self._engine.now_us)

    def _deploy(self, step: Step, done: Callable[[str], None]) -> None:
        assert step.revision is not None
        deploy = Deploy(self._world, step.revision, done)
        if step.how == "discover":
            deploy.by_discovery()
        else:
            deploy.by_template(refresh=step.how == "refresh")

    def _call(self, step: Step, since_us: int, done: Callable[[str], None]) -> None:
        """Call once somebody is whom the call is about, who is waited for as for a fault."""
        workers = self._in_role(step.whose, step) if step.whose else []
        if workers or not step.whose:
            done(self._call_on(workers, step))
        elif self._engine.now_us - since_us >= _ROLE_PATIENCE_US:
            done(f"there is no {step.whose!r} at this moment")
        else:
            self._engine.after(self._role_look_us(since_us), self._call, step, since_us, done)

    def _call_on(self, workers: list[str], step: Step) -> str:
        assert self._world.group is not None
        assert step.operation is not None
        self._called = workers or self._called
        group, request = self._world.group, step.request or {}
        refusals = [group.call(step.operation, request, worker) for worker in workers or [""]]
        return next(filter(None, refusals), "")

    def _fail(self, index: int, detail: str) -> None:
        self._record(index, "failed", detail=detail)
        self._was_applied(index)
        self._ended()

    def _set_policy(self, definition: dict[str, object]) -> None:
        known = {"ha-mode": ("all",), "ha-sync-mode": ("manual", "automatic")}
        known["ha-promote-on-failure"] = ("always", "when-synced")
        for key, value in definition.items():
            if value not in known.get(key, ()):
                self.unmodelled.append(f"set_policy: {key}: {value}")
        self._world.queue.set_policy(definition)

    def _await_workers(self, index: int, wanted: int, since_us: int) -> None:
        if self._world.consuming() >= min(wanted, self._world.desired):
            self._changed(index)
        elif self._engine.now_us - since_us >= _WORKERS_PATIENCE_US:
            self._fail(index, f"{self._world.consuming()} of {wanted} workers consume")
        else:
            self._engine.after(_LOOK_US, self._await_workers, index, wanted, since_us)

    def _changed(self, index: int) -> None:
        for phase in ("applied", "proved", "healed"):
            self._record(index, phase)
        self._was_applied(index)
        self._ended()

    # Faults.

    def _apply(self, index: int, subjects: list[Process], proved_us: int) -> None:
        step = self._steps[index]
        if step.target == IN_TURN:
            self._in_turn(index, subjects, list(subjects))
            return
        undo = FAULTS[step.kind](self._world, step, subjects)
        delay_us = proved_us + (NODE_STOP_US if step.kind in ("stop", "restart") else 0)
        if step.kind in ("stop", "restart") and any(subject.name.startswith("worker") for subject in subjects):
            self._await_exit(index, subjects, undo)
        else:
            self._engine.after(delay_us, self._proved, index, subjects, undo)

    def _await_exit(self, index: int, subjects: list[Process], undo: Undo) -> None:
        if any(subject.up for subject in subjects):
            self._engine.after(_LOOK_US, self._await_exit, index, subjects, undo)
        else:
            self._proved(index, subjects, undo)

    def _proved(self, index: int, subjects: list[Process], undo: Undo) -> None:
        step = self._steps[index]
        names = _names(subjects)
        self._record(index, "applied", names)
        self._record(index, "proved", names)
        # A zone is no container: of a zone that was lost `the same` are its instances.
        self._previous = [subject for subject in subjects if type(subject) is not Process]
        self._free()
        self._was_applied(index)
        lasts_us = round(step.lasts.value_s * 1e6) if step.lasts is not None else 0
        self._engine.after(lasts_us, self._heal, index, names, undo)

    def _heal(self, index: int, names: tuple[str, ...], undo: Undo) -> None:
        self._record(index, "healing", names)
        undo()
        self._record(index, "healed", names)
        self._ended()

    def _in_turn(self, index: int, subjects: list[Process], left: list[Process]) -> None:
        if not left:
            self._proved(index, subjects, lambda: None)
            return
        undo = FAULTS["restart"](self._world, self._steps[index], left[:1])
        self._engine.after(NODE_STOP_US, undo)
        self._engine.after(2 * NODE_STOP_US, self._await_whole, index, subjects, left[1:], self._engine.now_us)

    def _await_whole(self, index: int, subjects: list[Process], left: list[Process], since_us: int) -> None:
        if not self._world.unhealed():
            self._in_turn(index, subjects, left)
        elif self._engine.now_us - since_us > _READY_AGAIN_US:
            self._record(index, "failed", _names(subjects), self._world.unhealed())
            self._free()
            self._was_applied(index)
            self._ended()
        else:
            self._engine.after(2 * _LOOK_US, self._await_whole, index, subjects, left, since_us)


def _names(subjects: list[Process]) -> tuple[str, ...]:
    return tuple(subject.name for subject in subjects)
