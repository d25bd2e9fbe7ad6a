"""A live stack for one test: submit to it, break it, and have every job accounted for."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import yaml
from pydantic import BaseModel

from parity.check.verdict import Judgement
from parity.errors import EngineError, NotReadyError, SourceError, StackError
from parity.history.events import Event
from parity.history.file import read_history
from parity.run.docker import DockerRun
from parity.run.draws import SeededDraws
from parity.scenario.properties import Properties
from parity.scenario.scenario import Scenario
from parity.scenario.source import Source, nearest
from parity.scenario.steps import KINDS, Step
from parity.stack.engine import published_port

_Model = TypeVar("_Model", bound=BaseModel)
#: What a step of a scenario states about time; here the test's own lines do.
_TIMING = ("at", "after", "for", "times")
#: A test's name, with all its parameters, becomes part of a folder's, which may have 255 characters.
_NAME_CHARACTERS_MAX = 100


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Where a test's own clients find the run's namespace, on loopback. A restarted service has another port.

    Args:
        amqp: The virtual host, at each node that is up.
        database: The database; empty while its service is down.
    """

    amqp: tuple[str, ...]
    database: str


class ParityStack:
    """A stack in a namespace of its own, with workers and producers at work.

    Args:
        run: The run, started.
        seed: What ranges in faults are drawn with.
    """

    def __init__(self, run: DockerRun, *, seed: int) -> None:
        self._run = run
        self._draws = SeededDraws(seed, run.scenario.name)
        self._steps = 0
        #: What `drain` found; None before it.
        self.judgement: Judgement | None = None

    @property
    def record(self) -> Path:
        """The folder of the run's record."""
        return self._run.record.folder

    @property
    def history(self) -> list[Event]:
        """Every event so far."""
        return list(read_history(self._run.record.history))

    @property
    def urls(self) -> Urls:
        """Where the namespace is, as of now."""
        stack, name = self._run.stack, quote(self._run.name, safe="")
        broker, database = stack.broker.section, stack.database.section
        at_broker, at_database = _login(broker), _login(database)
        amqp = []
        for container in stack.broker.containers.values():
            with contextlib.suppress(EngineError):
                amqp.append(f"amqp://{at_broker}@127.0.0.1:{published_port(container, broker.amqp_port)}/{name}")
        url = ""
        with contextlib.suppress(EngineError):
            port = published_port(stack.database.container, database.port)
            url = f"postgresql://{at_database}@127.0.0.1:{port}/{name}"
        return Urls(amqp=tuple(amqp), database=url)

    def submit(self, n: int = 1, kind: str = "") -> list[int]:
        """Hand jobs to the application's producers, and don't wait for their outcome.

        Args:
            n: How many.
            kind: A kind the stack declares; an ordinary job where none is given.

        Returns:
            The jobs' numbers, as the history and the witnesses name them.

        Raises:
            StackError: The workers or producers gave up, or the run is over.
            SourceError: There is no such kind.
        """
        self._check_open()
        kinds = self._run.description.kinds
        if kind and kind not in kinds:
            raise SourceError(f"no such kind of job{nearest(kind, list(kinds))}", file=f"submit(kind={kind!r})")
        return list(self._run.application.submit(kind, n))

    @contextlib.contextmanager
    def fault(self, step: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        """Keep a fault applied, and proved to be, while the block runs; leaving it heals.

        Args:
            step: As a scenario states it, without `at`, `after`, `for` and `times`: the block says when and how long.

        Yields:
            The instances or services that were hit.

        Raises:
            SourceError: It is no fault; says what was expected.
            FaultError: It could not be applied, proved or healed.
            NotReadyError: Nobody came to play its role.
        """
        self._check_open()
        drawn = self._step(step, "fault", fault=True)
        with self._run.broken(self._next_step(), drawn) as subjects:
            yield tuple(subject.name for subject in subjects)

    def change(self, step: Mapping[str, Any]) -> None:
        """Carry out a step that stays, such as `{"set_policy": {...}}`.

        Args:
            step: As a scenario states it, without its timing.

        Raises:
            SourceError: It is none; says what was expected.
            ParityError: It failed.
        """
        self._check_open()
        drawn = self._step(step, "change", fault=False)
        self._run.steps.changed(self._next_step(), drawn)

    def scale(self, n: int) -> None:
        """Make it so many workers, and wait until they consume.

        Raises:
            StackError: They do not stay up.
        """
        self.change({"scale": n})

    def wait_for_effects(self, jobs: Iterable[int], within_s: float = 30.0) -> None:
        """Wait until each of the jobs has an effect.

        Args:
            jobs: Their numbers.
            within_s: Seconds they may take.

        Raises:
            NotReadyError: Some have none; names them.
            StackError: The workers or producers gave up.
        """
        wanted, recorder, start = list(jobs), self._run.recorder, time.monotonic()
        while missing := recorder.without_effect(wanted):
            self._run.application.check_alive()
            waited_s = time.monotonic() - start
            if waited_s > within_s:
                last = f"none for {len(missing)} of {len(wanted)} jobs: {', '.join(map(str, missing[:10]))}"
                raise NotReadyError("effects", waited_s=waited_s, last=last)
            recorder.wait(lambda: not recorder.without_effect(wanted), within_s=min(0.5, within_s))

    def wait_for_events(self, name: str, count: int, within_s: float = 30.0) -> None:
        """Wait until there were so many events of a name.

        Args:
            name: `submit`, `submitted`, `delivery`, `effect`, or a point that the stack's log patterns declare.
            count: How many, from the start of the run.
            within_s: Seconds they may take.

        Raises:
            NotReadyError: There were not.
            SourceError: The stack tells of no such event.
        """
        known = ["submit", "submitted", "delivery", "effect", *self._run.description.log.points]
        if name not in known:
            raise SourceError(f"no such event{nearest(name, known)}", file=f"wait_for_events({name!r}, {count})")
        recorder = self._run.recorder
        if not recorder.wait(lambda: recorder.count(name) >= count, within_s=within_s):
            raise NotReadyError(f"{count} events {name!r}", waited_s=within_s, last=f"{recorder.count(name)} of them")

    def drain(self, within_s: float = 60.0, **properties: Any) -> Judgement:
        """Heal, wait until nothing is left to do, count every job, and judge. Workers and producers end with it.

        Args:
            within_s: Seconds the drain may take before what is left counts as stuck.
            properties: What to judge by, as the section `properties` of a scenario states it.

        Returns:
            The judgement: its `verdict`, its `findings` with reasons and witnesses, its `tally`.

        Raises:
            SourceError: There is no such property.
            ParityError: The workers or producers gave up.
        """
        self._check_open()
        claimed = validated(Properties, properties, place="drain(...)")
        self._run.scenario = self._run.scenario.model_copy(update={"drain": within_s, "properties": claimed})
        self._run.finish()
        self.judgement = self._run.judge(claimed)
        return self.judgement

    def _next_step(self) -> int:
        self._steps += 1
        return self._steps - 1

    def _step(self, data: Mapping[str, Any], call: str, *, fault: bool) -> Step:
        place = f"{call}({dict(data)!r})"
        for name in _TIMING:
            if name in data:
                raise SourceError(f"leave {name!r} out: the test's own lines say when and how long", file=place)
        kind = next((KINDS[key] for key in data if key in KINDS), None)
        # The block is what a scenario's `for` is.
        lasts = {"for": "0s"} if kind and kind.lasts == "must" else {}
        step = validated(Step, {**data, **lasts}, place=place).draw(self._draws)[0]
        if KINDS[step.kind].fault != fault:
            other = "change" if fault else "fault"
            raise SourceError(f"{step.kind} is {'no fault' if fault else 'a fault'}: use `{other}`", file=place)
        return step

    def _check_open(self) -> None:
        if self.judgement is not None:
            raise StackError("the run was drained and judged: nothing more can be done to it")


def run_scenario(name: str, stack: str, *, about: str, keywords: Mapping[str, Any]) -> Scenario:
    """The scenario that a marked test is: no workload and no steps of its own, the test brings them.

    Args:
        name: The test's name.
        stack: The stack's name.
        about: What to say of it.
        keywords: The marker's: `workers`, `settings`.

    Raises:
        SourceError: A keyword is unknown or its value wrong.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_NAME_CHARACTERS_MAX].strip("-") or "test"
    data = {"name": slug, "about": about, "stacks": [{"stack": stack}], "workload": {"jobs": 0}}
    for key in keywords:
        if key not in {"workers", "settings"}:
            known = ["workers", "settings", "seed"]
            raise SourceError(f"unknown keyword {key!r}{nearest(key, known)}", file="@pytest.mark.parity")
    return validated(Scenario, data | dict(keywords), place="@pytest.mark.parity")


def validated(model: type[_Model], data: Mapping[str, Any], *, place: str) -> _Model:
    """A mapping that a test gave as the model that a scenario's file would give.

    Args:
        model: What it must be.
        data: What was given.
        place: Where, for the message.

    Raises:
        SourceError: It is not; lists every fault, with the nearest valid name.
    """
    try:
        return Source(yaml.safe_dump(dict(data), width=10_000), file=place).parse(model)
    except yaml.YAMLError as error:
        raise SourceError(f"expected plain values, as a scenario's file has them: {error}", file=place) from error
    except SourceError as error:
        # The line and column are those of a text that nobody wrote.
        raise SourceError(error.message, file=place) from None


def _login(section: Any) -> str:
    return f"{quote(section.user, safe='')}:{quote(section.password, safe='')}"
