"""What watching costs: 10,000 jobs through the stack with parity watching, against without, in turn in one run.

Both ways the same producer and worker containers run on the same stack, and the time is from the first id written to
the producer until the database counts the last effect. Without parity nobody reads what the workers print, the queues
or the nodes; the producer's outcomes are read, and effects counted twice a second, since somebody must see the end.
The legs take turns in going first, and their medians are compared.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from parity.history.events import Effect, Phase, Submit
from parity.history.file import read_history
from parity.run.docker import DockerRun
from parity.run.record import new_record
from parity.scenario.properties import Properties
from parity.scenario.ranges import IntRange
from parity.scenario.scenario import Scenario, Workload
from parity.stack import launch
from parity.stack.broker import Consumers
from parity.stack.description import load_stack
from parity.stack.engine import wait_for
from parity.stack.stack import Blueprint, Stack, blueprint, running_stack
from parity.stack.submitter import CommandSubmitter

JOBS = 10_000
ROUNDS = 5
RATIO_MIN = 0.95
_WORKERS = 3
_SETTINGS: dict[str, str | int | float] = {"job_duration": 0, "prefetch": 50}


def bench(root: Path) -> dict[str, Any]:
    """Measure; jobs a second.

    Returns:
        Name, figures and bound.
    """
    plan = blueprint(load_stack("compose/rabbitmq", root=root))
    watched: list[float] = []
    alone: list[float] = []
    with running_stack(plan, progress=print) as stack:
        for number in range(ROUNDS):
            # What the machine does besides drifts: neither leg is always the earlier one.
            for leg in ("watched", "alone") if number % 2 == 0 else ("alone", "watched"):
                if leg == "watched":
                    watched.append(_watched(stack, plan))
                else:
                    alone.append(_alone(stack, plan, f"bench-{number}"))
    return {
        "name": "throughput",
        "figures": {
            "watched_jobs_per_s": [round(value) for value in watched],
            "alone_jobs_per_s": [round(value) for value in alone],
            "ratio": round(median(watched) / median(alone), 3),
        },
        "bound": {"ratio": RATIO_MIN},
    }


def _watched(stack: Stack, plan: Blueprint) -> float:
    jobs = IntRange(low=JOBS, high=JOBS)
    scenario = Scenario(
        name="throughput",
        about="Ten thousand jobs and no fault.",
        workers=IntRange(low=_WORKERS, high=_WORKERS),
        settings=_SETTINGS,
        workload=Workload(jobs=jobs, rate=0),
        properties=Properties(not_vacuous=JOBS),
    )
    with tempfile.TemporaryDirectory() as folder:
        record = new_record(Path(folder), scenario=scenario.name, stack="bench", seed=0)
        run = DockerRun(stack=stack, plan=plan, scenario=scenario, record=record, progress=print)
        judgement = run.execute()
        assert judgement.tally.effects == JOBS, judgement.tally
        first_us = last_us = 0
        for event in read_history(record.history):
            if isinstance(event, Phase) and event.phase == "faults":
                first_us = 0
            elif isinstance(event, Submit):
                first_us = first_us or event.t_us
            elif isinstance(event, Effect):
                last_us = event.t_us
    return JOBS / ((last_us - first_us) / 1e6)


def _alone(stack: Stack, plan: Blueprint, name: str) -> float:
    description = plan.files.description
    with stack.namespace(name) as namespace:

        def make(service: str, instance: str, number: int, *, stdin: bool = False) -> Any:
            return namespace.make_container(service, instance, number, settings=_SETTINGS, plan=plan, stdin=stdin)

        workers = [make("worker", f"worker-{number}", number) for number in range(1, _WORKERS + 1)]
        submitter = CommandSubmitter(lambda: make("producer", "producer-1", 1, stdin=True), lambda *_: None)
        try:
            for worker in workers:
                launch.start(worker)

            def consuming() -> tuple[bool | None, str]:
                count = consumers.of(description.queues.work[0])
                return (True if count == _WORKERS else None), f"{count} consumers"

            with Consumers(stack.broker, name) as consumers:
                wait_for("the workers", consuming, within_s=60)
            start = time.monotonic()
            submitter.submit([f"job-{number:06d}" for number in range(JOBS)], "")

            def done() -> tuple[float | None, str]:
                count = len(stack.database.effects(name, description.effects.sql))
                return (time.monotonic() if count == JOBS else None), f"{count} effects"

            return JOBS / (wait_for("the last effect", done, within_s=300, every_s=0.5) - start)
        finally:
            submitter.close()
            for container in [*workers, submitter.container]:
                launch.remove(container)
