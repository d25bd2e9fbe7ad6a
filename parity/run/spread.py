"""Runs on containers spread over a cluster: one session a machine, with the engine of that machine.

What a run came to and its record come back, and are as if it had been run here. A machine that is gone, or whose
session ends early, leaves what it was given unknown; what it was not given yet others run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from parity.cluster import Machine, Mailbox, Session
from parity.errors import ClusterError, EngineError, ParityError, SourceError
from parity.run.deal import Deal, Share
from parity.run.draws import SeededDraws
from parity.run.entry import Attempt, Entry, again_by, conclude, open_record, write_result
from parity.run.fits import check_fits
from parity.run.machine import INTERRUPTED, Announced, Came, Free, Plan, Told, group, look, serve, tidy, unpack
from parity.run.record import fresh_record
from parity.run.result import Result
from parity.run.session import LANES, Progress, alone_of
from parity.scenario.scenario import Scenario

#: How long an interrupted session may take to heal what it broke and to remove what it started.
_ENDS_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.5


class Cluster(Protocol):
    """Whose machines run."""

    def machines(self) -> list[Machine]:
        """The machines that are there."""
        ...

    def ask(self, machine: Machine, work: Callable[..., Any], *arguments: Any) -> Any:
        """Have a function of a module called on a machine; what is returned stands for the answer."""
        ...

    def answer(self, asked: Any) -> Any:
        """Wait for an answer."""
        ...

    def begin(self, machine: Machine, work: Callable[..., Any], *arguments: Any) -> Session:
        """Have a function called that has a machine to itself, with a way to receive what it is sent."""
        ...

    def ended(self, sessions: list[Session]) -> list[Session]:
        """Those of the sessions that are over."""
        ...

    def interrupt(self, session: Session) -> None:
        """End a session as Ctrl-C would."""
        ...

    def mailbox(self) -> Mailbox:
        """A mailbox that can be handed to what is called on a machine."""
        ...

    def receive(self, mailbox: Mailbox, *, within_s: float) -> Any:
        """Take the oldest message; None where none comes in time."""
        ...


class AnnounceThere(Protocol):
    """Told of every drawn scenario before it starts, and where."""

    def __call__(self, entry: Entry, drawn: Scenario, seed: int, *, machine: str) -> None:
        """Tell it."""
        ...


def run_spread(
    entries: list[Entry],
    cluster: Cluster,
    *,
    root: Path,
    seed: int,
    out: Path,
    progress: Progress,
    warn: Progress,
    announce: AnnounceThere,
    lanes: int = LANES,
) -> Generator[Result, None, None]:
    """Run scenarios on containers of a cluster's machines.

    Args:
        entries: What to run; checked before anything is started.
        cluster: Whose machines; the project's folder is the current one there.
        root: The project's folder here.
        seed: What ranges are drawn with.
        out: Where records go, here.
        progress: Told what takes time, and where.
        warn: Told of machines that take no work, or no more.
        announce: Told of every drawn scenario before it starts, and where.
        lanes: How many may run side by side on one machine.

    Yields:
        A result for each entry, as it comes. What a machine did not finish is a result too: unknown.

    Raises:
        SourceError: A scenario asks a stack for what it does not have, or a stack is not the project's.
        EngineError: No machine has an engine.
        ClusterError: The cluster is gone, or an interrupted session did not end.
    """
    for entry in entries:
        check_fits(entry.scenario, entry.files, document=entry.document)
    shares = [_share(number, entry, root) for number, entry in enumerate(entries)]
    machines = _usable(cluster, warn)[: len(entries)]
    deal = Deal(
        cluster.answer(cluster.ask(machines[0], group, shares)),
        alone=alone_of(entries, lanes),
        machines=len(machines),
        lanes=lanes,
    )
    spread = Spread(
        entries=entries,
        shares=shares,
        cluster=cluster,
        deal=deal,
        plan=Plan(seed=seed, lanes=lanes),
        out=out,
        progress=progress,
        warn=warn,
        announce=announce,
    )
    yield from spread.run(machines)


def _share(number: int, entry: Entry, root: Path) -> Share:
    name, plus, overlay = entry.files.name.partition("+")
    if not entry.files.folder.is_relative_to(root.resolve()):
        raise SourceError(f"not in the project's folder {root}, which is all that a cluster is sent", file=name)
    return Share(
        number=number,
        scenario=entry.scenario,
        stack=entry.files.name,
        place=f"{entry.files.folder.relative_to(root.resolve())}{plus}{overlay}",
        expectation=entry.expectation,
        source=entry.source,
    )


def _usable(cluster: Cluster, warn: Progress) -> list[Machine]:
    """The machines that can run something; the others are told."""
    machines = cluster.machines()
    missing = {machine.name: "it offers no processor" for machine in machines if not machine.processors}
    asked = {machine.name: cluster.ask(machine, look) for machine in machines if machine.name not in missing}
    for name, question in asked.items():
        try:
            missing[name] = cluster.answer(question)
        except ParityError as error:
            missing[name] = str(error)
    told = [f"{name} takes no work: {reason}" for name, reason in missing.items() if reason]
    if len(told) == len(machines):
        raise EngineError("\n".join(["no machine of the cluster can run containers", *told]))
    for line in told:
        warn(line)
    return [machine for machine in machines if not missing[machine.name]]


@dataclass(kw_only=True)
class Hand:
    """What a machine has.

    Args:
        session: Its session.
        due: What it was given and has not finished yet.
        begun: Whether anything was heard of it.
        dismissed: Whether it was told that nothing more comes.
    """

    session: Session
    due: dict[int, None] = field(default_factory=dict)
    begun: bool = False
    dismissed: bool = False


@dataclass(kw_only=True)
class Spread:
    """Runs under way on several machines; the arguments are `run_spread`'s, and what it made of them."""

    entries: list[Entry]
    shares: list[Share]
    cluster: Cluster
    deal: Deal
    plan: Plan
    out: Path
    progress: Progress
    warn: Progress
    announce: AnnounceThere

    def run(self, machines: list[Machine]) -> Generator[Result, None, None]:
        """Do it."""
        self._outbox = self.cluster.mailbox()
        self._hands: dict[str, Hand] = {}
        lost: dict[Machine, str] = {}
        self.progress(f"waiting for the processors of {', '.join(machine.name for machine in machines)}")
        try:
            for machine in machines:
                session = self.cluster.begin(machine, serve, self._outbox, machine.name, self.plan)
                self._hands[machine.name] = Hand(session=session)
            while self._hands:
                # Those that were over before nothing more was in the mailbox have told everything.
                ended = self.cluster.ended([hand.session for hand in self._hands.values()])
                message = self.cluster.receive(self._outbox, within_s=_LOOK_EVERY_S)
                if message is not None:
                    yield from self._take(message)
                    continue
                for session in ended:
                    hand = self._hands.pop(session.machine.name)
                    reason = self._why_early(hand)
                    if reason:
                        lost[session.machine] = reason
                        self.warn(f"{session.machine.name} takes no more work: {reason}")
                    for number in hand.due:
                        yield self._unknown(number, f"{session.machine.name} did not finish it: {reason}")
        finally:
            self._interrupt()
        for number in self.deal.left():
            told = "; ".join(f"{machine.name}: {reason}" for machine, reason in lost.items())
            yield self._unknown(number, f"no machine was left to run it: {told}")
        for machine in lost:
            self._tidy(machine)

    def _take(self, message: Told | Announced | Came | Free) -> Iterator[Result]:
        hand = self._hands.get(message.machine)
        if hand is None:
            # The last words of a session that was killed: what it had is unknown already.
            return
        hand.begun = True
        if isinstance(message, Told):
            self.progress(f"{message.machine}: {message.text}")
        elif isinstance(message, Announced):
            self.announce(self.entries[message.number], message.drawn, self.plan.seed, machine=message.machine)
        elif isinstance(message, Came):
            del hand.due[message.number]
            yield self._adopt(message)
        else:
            numbers = self.deal.next(message.machine)
            hand.due = dict.fromkeys(numbers)
            hand.dismissed = not numbers
            hand.session.send([self.shares[number] for number in numbers])

    def _why_early(self, hand: Hand) -> str:
        """Why a session ended before it was dismissed; empty where it did not."""
        try:
            reason = str(self.cluster.answer(hand.session.work))
        except ParityError as error:
            reason = str(error)
        return reason or ("" if hand.dismissed else "it ended without a word")

    def _tidy(self, machine: Machine) -> None:
        """Have a machine remove what its session left that is gone."""
        try:
            for line in self.cluster.answer(self.cluster.ask(machine, tidy)):
                self.progress(f"{machine.name}: left by its session, removed: {line}")
        except ParityError as error:
            self.warn(f"{machine.name} still has what its session started, until the next parity there: {error}")

    def _adopt(self, came: Came) -> Result:
        """Write a run's record down here, as if it had been run here."""
        record = fresh_record(self.out, came.result.record.name)
        unpack(came.record, record.folder)
        result = replace(came.result, record=record.folder)
        facts = json.loads((record.folder / "run.json").read_text())
        facts |= {"machine": came.machine, "again": again_by(record, result.stack, "docker", result.seed)}
        record.write_json("run.json", facts)
        write_result(record, result)
        return result

    def _unknown(self, number: int, reason: str) -> Result:
        """The result of a run that nobody finished."""
        entry = self.entries[number]
        drawn = entry.scenario.draw(SeededDraws(self.plan.seed, entry.scenario.name))
        record = open_record(entry, drawn, runtime="docker", seed=self.plan.seed, out=self.out)
        nothing = Attempt(judgement=None, error=reason, seconds=0.0)
        return conclude(entry, drawn, record, nothing, runtime="docker", seed=self.plan.seed)

    def _interrupt(self) -> None:
        """End the sessions that are left, and wait until each has removed what it started.

        Raises:
            ClusterError: One did not.
        """
        left = list(self._hands.values())
        if not left:
            return
        self.progress(f"ending the sessions on {', '.join(hand.session.machine.name for hand in left)}")
        for hand in left:
            self.cluster.interrupt(hand.session)
        until = time.monotonic() + _ENDS_WITHIN_S
        wrong = []
        while left and time.monotonic() < until:
            message = self.cluster.receive(self._outbox, within_s=_LOOK_EVERY_S)
            if message is not None:
                self._hands[message.machine].begun = True
            over = self.cluster.ended([hand.session for hand in left])
            ended = [hand for hand in left if hand.session in over]
            left = [hand for hand in left if hand not in ended]
            for hand in ended:
                reason = self._why_early(hand)
                if hand.begun and reason not in {"", INTERRUPTED}:
                    wrong.append(f"{hand.session.machine.name}: {reason}")
        wrong += [f"{hand.session.machine.name} did not end within {_ENDS_WITHIN_S:.0f} s" for hand in left]
        if wrong:
            wrong.append("what is left there is removed by the next parity there, such as `parity clean`")
            raise ClusterError("\n".join(wrong))
