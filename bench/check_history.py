"""How long judging a history takes, against parsing the same file with the fastest JSON library at hand.

The target: judging, from file to findings, takes at most twice as long as the fastest generic parse of the
file into Python objects. Both run in one process in alternating rounds, and the medians are compared. Seconds
are the process's own: neither side waits for anything, and other programs on the machine do not count.

    python bench/check_history.py [events] [rounds]
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import msgspec

from parity.check import Verdict, judge
from parity.history.events import (
    Census,
    Delivery,
    Effect,
    Event,
    Fault,
    Health,
    Instance,
    Phase,
    Point,
    Queue,
    Submit,
    Submitted,
)
from parity.history.file import HistoryWriter, read_history
from parity.scenario.properties import Properties

EVENTS = 1_000_000
ROUNDS = 5
RATIO_MAX = 2.0
SEED = 20_240
OPEN_JOBS = 200
INSTANCES = 8
CLAIMS = Properties(redelivered_within=30, delivery_limit=5, not_vacuous=1000)


class Load:
    """A run under load: six events a job, about 200 jobs open at a time, some redelivered, workers killed.

    Args:
        events: About how many events to make.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._draw = random.Random(SEED)
        self._now_us = 0
        self._jobs = 0
        self._deaths = 0
        self._holders: dict[int, str] = {}

    def _life(self, job: int) -> Iterator[Event]:
        yield Submitted(t_us=self._now_us, job=job, outcome="ok")
        yield self._deliver(job, again=False)
        while self._draw.random() < 0.01:
            yield self._deliver(job, again=True)
        holders = self._holders
        yield Point(t_us=self._now_us, job=job, worker=holders[job], point="committed")
        yield Effect(t_us=self._now_us, job=job, count=1)
        yield Point(t_us=self._now_us, job=job, worker=holders.pop(job), point="acknowledged")

    def _deliver(self, job: int, *, again: bool) -> Delivery:
        self._holders[job] = worker = f"worker-{self._draw.randrange(INSTANCES)}"
        return Delivery(t_us=self._now_us, job=job, worker=worker, redelivered=again)

    def _death(self) -> Iterator[Event]:
        """A worker is killed, what it held is delivered to others, and it comes back."""
        worker = f"worker-{self._deaths % INSTANCES}"
        self._deaths += 1
        for phase in ("applying", "applied", "proved"):
            yield Fault(t_us=self._now_us, fault=0, kind="kill", target="a worker", phase=phase, on=(worker,))
        yield Instance(t_us=self._now_us, instance=worker, state="exited", exit_code=137)
        yield Instance(t_us=self._now_us, instance=worker, state="running")
        for job in [job for job, holder in self._holders.items() if holder == worker]:
            yield self._deliver(job, again=True)

    def _rare(self, told: int, open_jobs: int) -> Iterator[Event]:
        if told % 500 == 0:
            held = len(self._holders)
            yield Queue(t_us=self._now_us, queue="jobs", ready=open_jobs - held, unacknowledged=held)
        if told % (self._events // 10) == self._events // 20:
            yield from self._death()

    def _work(self) -> Iterator[Event]:
        told = 0
        open_jobs: list[Iterator[Event]] = [iter(()) for _ in range(OPEN_JOBS)]
        while open_jobs:
            self._now_us += 20
            at = self._draw.randrange(len(open_jobs))
            event = next(open_jobs[at], None)
            if event is not None:
                told += 1
                yield event
                yield from self._rare(told, len(open_jobs))
            elif told < self._events - 4 * OPEN_JOBS:
                yield Submit(t_us=self._now_us, job=self._jobs)
                told += 1
                open_jobs[at] = self._life(self._jobs)
                self._jobs += 1
            else:
                open_jobs[at] = open_jobs[-1]
                open_jobs.pop()

    def history(self) -> Iterator[Event]:
        """The whole run."""
        yield Phase(t_us=0, phase="start")
        yield Phase(t_us=1, phase="faults")
        yield from self._work()
        yield Health(t_us=self._now_us, healed=True)
        yield Phase(t_us=self._now_us, phase="drain")
        yield Phase(t_us=self._now_us, phase="census")
        yield Census(t_us=self._now_us, complete=True, queued=0, dead_lettered=0)
        yield Phase(t_us=self._now_us, phase="end")


def write(path: Path, events: int) -> int:
    """Write a history; returns how many events it has."""
    count = 0
    with HistoryWriter(path, flush_every=10_000) as writer:
        for event in Load(events).history():
            writer.write(event)
            count += 1
    return count


def exhaust(values: Iterator[object]) -> None:
    """Make all values and keep none, at the speed of C."""
    deque(values, maxlen=0)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        rest = b""
        while block := file.read(1 << 17):
            end = block.rfind(b"\n") + 1
            yield rest + block[:end]
            rest = block[end:]


def parsers() -> dict[str, Callable[[Path], None]]:
    """Ways to make Python objects of every line of a file; all read it in their fastest way."""
    untyped, typed = msgspec.json.Decoder(), msgspec.json.Decoder(Event)

    def by_line(loads: Callable[[bytes], object]) -> Callable[[Path], None]:
        def parse(path: Path) -> None:
            with path.open("rb") as file:
                exhaust(map(loads, file))

        return parse

    def by_chunk(decoder: msgspec.json.Decoder) -> Callable[[Path], None]:
        return lambda path: exhaust(map(decoder.decode_lines, _chunks(path)))

    found = {
        "msgspec, generic, by chunk": by_chunk(untyped),
        "msgspec, generic, by line": by_line(untyped.decode),
        "msgspec, typed events, by chunk": by_chunk(typed),
    }
    try:
        import orjson

        found["orjson, by line"] = by_line(orjson.loads)
    except ImportError:
        pass
    try:
        import simdjson

        found["pysimdjson, by line"] = by_line(simdjson.loads)
    except ImportError:
        pass
    return found


def _check(path: Path) -> None:
    judgement = judge(read_history(path), CLAIMS)
    if judgement.verdict is not Verdict.HOLDS:
        raise SystemExit(f"the generated history must hold: {judgement}")


def _rounds(path: Path, rounds: int) -> dict[str, float]:
    """Median seconds of each contender, taken in turns."""
    contenders = {**parsers(), "judge(read_history(path))": _check}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            began = time.process_time()
            run(path)
            times[name].append(time.process_time() - began)
    return {name: median(taken) for name, taken in times.items()}


def _peak_kib(path: Path) -> int:
    """The most Python memory that one judgement had allocated at a time."""
    tracemalloc.start()
    _check(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak // 1024


def bench(events: int = EVENTS, rounds: int = ROUNDS) -> dict[str, object]:
    """Measure, print a table, and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        quarter, whole = Path(folder, "quarter.jsonl"), Path(folder, "whole.jsonl")
        write(quarter, events // 4)
        count = write(whole, events)
        size_mb = whole.stat().st_size / 1e6
        _check(quarter)
        rss_before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        _check(whole)
        rss_growth_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss_before_kib
        seconds = _rounds(whole, rounds)
        peaks = _peak_kib(quarter), _peak_kib(whole)
    check_s = seconds.pop("judge(read_history(path))")
    typed_s = seconds["msgspec, typed events, by chunk"]
    fastest = min((name for name in seconds if "typed" not in name), key=seconds.__getitem__)
    figures: dict[str, object] = {
        "events": count,
        "file_mb": round(size_mb, 1),
        "parse_s": {name: round(taken, 3) for name, taken in seconds.items()},
        "fastest_generic": fastest,
        "check_s": round(check_s, 3),
        "events_per_s": round(count / check_s),
        "ratio_to_fastest_generic": round(check_s / seconds[fastest], 2),
        "ratio_to_typed": round(check_s / typed_s, 2),
        "peak_kib_quarter": peaks[0],
        "peak_kib_whole": peaks[1],
        "rss_growth_kib_quarter_to_whole": rss_growth_kib,
    }
    print(f"{count:,} events, {size_mb:.1f} MB, seed {SEED}, median of {rounds} rounds")
    for name, taken in sorted([*seconds.items(), ("judge(read_history(path))", check_s)], key=lambda row: row[1]):
        print(f"  {name:34} {taken:7.3f} s {taken / count * 1e9:6.0f} ns/event {taken / seconds[fastest]:5.2f}x")
    print(f"  fastest generic: {fastest}; check is {check_s / typed_s:.2f}x the typed parse")
    print(f"  peak memory: {peaks[0]:,} KiB for a quarter of the events, {peaks[1]:,} KiB for all")
    print(f"  resident growth from the quarter to all: {rss_growth_kib:,} KiB")
    return {"name": "check_history", "figures": figures, "bound": {"ratio_to_fastest_generic_max": RATIO_MAX}}


if __name__ == "__main__":
    bench(*(int(argument) for argument in sys.argv[1:3]))
