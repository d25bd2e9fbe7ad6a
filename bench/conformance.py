"""How long it takes to hold a history against the contract, beside parsing the same file with the fastest JSON library.

The target: half a million events a second from file to result, in time that grows with the events. A quarter is faster
an event: its five seconds are hardly longer than finished jobs are kept open, so that few have to be put away. From
there on it is the same for twice the events. All rounds run in one process in turn, and medians of its own seconds are
compared.

    python -m bench conformance
"""

from __future__ import annotations

import gc
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec

from bench.check_history import INSTANCES, ROUNDS, SEED, Load, parsers
from parity.check.conformance import conformance
from parity.check.verdict import Verdict
from parity.history.events import Census, Delivery, Effect, Event, Fault, Found, Instance, Point, Submit, Submitted
from parity.history.file import HistoryWriter, read_history
from parity.model.contract import Contract
from parity.model.settings import BrokerModel, ModelSettings

EVENTS = 1_000_000
EVENTS_PER_S_MIN = 500_000
LIMIT = 3
#: Events from one death of a worker to the next.
DEATH_EVERY = 100_000
CONTRACT = Contract(
    ModelSettings(poison=("poison",), broker=BrokerModel(queue_type="quorum", delivery_limit=LIMIT, dead_letter=True))
)


class ConformingLoad(Load):
    """The load of `check_history` with a cause for each redelivery: a death, or a job in a hundred that fails."""

    def __init__(self, events: int) -> None:
        super().__init__(events)
        self._failing: list[int] = []
        self._deliveries: dict[int, int] = {}

    def _deliver(self, job: int, *, again: bool) -> Delivery:
        self._deliveries[job] = self._deliveries.get(job, 0) + 1
        return super()._deliver(job, again=again)

    def _life(self, job: int) -> Iterator[Event]:
        yield Submitted(t_us=self._now_us, job=job, outcome="ok")
        yield self._deliver(job, again=False)
        if job % 100 == 99:
            yield from self._fail(job)
            return
        counted = False
        while True:
            # A death meanwhile hands the job to another worker, which begins from the start.
            deliveries, holder = self._deliveries[job], self._holders[job]
            yield Point(t_us=self._now_us, job=job, worker=holder, point="committed")
            if self._deliveries[job] == deliveries and not counted:
                counted = True
                yield Effect(t_us=self._now_us, job=job, count=1)
            if self._deliveries[job] == deliveries:
                del self._deliveries[job]
                yield Point(t_us=self._now_us, job=job, worker=self._holders.pop(job), point="acknowledged")
                return

    def _fail(self, job: int) -> Iterator[Event]:
        while True:
            deliveries, holder = self._deliveries[job], self._holders.pop(job)
            if deliveries <= LIMIT + 1:
                yield Point(t_us=self._now_us, job=job, worker=holder, point="rejected")
            if deliveries > LIMIT:
                self._failing.append(job)
                return
            yield self._deliver(job, again=True)

    def _rare(self, told: int, _open_jobs: int) -> Iterator[Event]:
        # As many deaths an event whatever the length: a fault costs something, and lengths are compared.
        if told % DEATH_EVERY == DEATH_EVERY // 2:
            yield from self._death()

    def history(self) -> Iterator[Event]:
        """The whole run, its census with the jobs that failed."""
        for number in range(INSTANCES):
            yield Instance(t_us=0, instance=f"worker-{number}", state="running")
        for event in super().history():
            if isinstance(event, Submit) and event.job % 100 == 99:
                yield Submit(t_us=event.t_us, job=event.job, kind="poison")
                continue
            if isinstance(event, Delivery) and self._deliveries[event.job] > LIMIT + 1:
                continue  # Its holder died with the last delivery that it had: it is among the dead letters.
            if isinstance(event, Census):
                for job in self._failing:
                    yield Found(t_us=self._now_us, job=job, place="dead_letter", queue="jobs.dead")
            yield event
            if isinstance(event, Fault) and event.phase == "proved":
                yield msgspec.structs.replace(event, phase="healed")


def write(path: Path, events: int) -> int:
    """Write a history; returns how many events it has."""
    count = 0
    with HistoryWriter(path, flush_every=10_000) as writer:
        for event in ConformingLoad(events).history():
            writer.write(event)
            count += 1
    return count


def _hold(path: Path) -> None:
    found = conformance(read_history(path), CONTRACT)
    if found.verdict is not Verdict.HOLDS:
        raise SystemExit(f"the generated history must conform: {found.reason}; first {found.differences[:1]}")


def _seconds(quarter: Path, whole: Path, rounds: int) -> dict[str, float]:
    contenders = {name: (run, whole) for name, run in parsers().items()}
    contenders |= {"conformance": (_hold, whole), "conformance, a quarter": (_hold, quarter)}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (run, path) in contenders.items():
            gc.collect()
            began = time.process_time()
            run(path)
            times[name].append(time.process_time() - began)
    return {name: median(taken) for name, taken in times.items()}


def _peak_kib(path: Path) -> int:
    tracemalloc.start()
    _hold(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak // 1024


def bench(events: int = EVENTS, rounds: int = ROUNDS) -> dict[str, object]:
    """Measure, print a table, and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        quarter, whole = Path(folder, "quarter.jsonl"), Path(folder, "whole.jsonl")
        counts = write(quarter, events // 4), write(whole, events)
        seconds = _seconds(quarter, whole, rounds)
        peaks = _peak_kib(quarter), _peak_kib(whole)
    rates = counts[0] / seconds["conformance, a quarter"], counts[1] / seconds["conformance"]
    parse_s = {name: taken for name, taken in seconds.items() if not name.startswith("conformance")}
    fastest = min((name for name in parse_s if "typed" not in name), key=parse_s.__getitem__)
    figures: dict[str, object] = {
        "events": counts[1],
        "conformance_s": round(seconds["conformance"], 3),
        "events_per_s": round(rates[1]),
        "events_per_s_quarter": round(rates[0]),
        "slowdown_quarter_to_whole": round(rates[0] / rates[1], 2),
        "parse_s": {name: round(taken, 3) for name, taken in parse_s.items()},
        "fastest_generic": fastest,
        "ratio_to_fastest_generic": round(seconds["conformance"] / parse_s[fastest], 2),
        "peak_kib_quarter": peaks[0],
        "peak_kib_whole": peaks[1],
    }
    print(f"{counts[1]:,} events, seed {SEED}, median of {rounds} rounds")
    for name, taken in sorted({**parse_s, "conformance": seconds["conformance"]}.items(), key=lambda row: row[1]):
        print(f"  {name:34} {taken:7.3f} s {counts[1] / taken:12,.0f} events/s")
    print(f"  a quarter of the events: {rates[0]:,.0f} events/s; peak memory {peaks[0]:,} and {peaks[1]:,} KiB")
    return {"name": "conformance", "figures": figures, "bound": {"events_per_s_min": EVENTS_PER_S_MIN}}
