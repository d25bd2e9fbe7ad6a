"""Small literal records for the tests of the report, written as a run writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from check_histories import us

from parity.check import judge
from parity.history.events import Activity, Capacity, Connections, Event, Fault, Instance, Lifecycle, Node, Queue
from parity.history.file import HistoryWriter, read_history
from parity.run.result import Result
from parity.scenario.scenario import Expectation, Scenario

SCENARIO = Scenario(name="worker-killed", about="A worker dies while it works, and its job is done all the same.")


def write_record(
    folder: Path,
    events: Iterable[Event],
    *,
    scenario: Scenario = SCENARIO,
    expectation: Expectation | None = None,
    facts: dict[str, Any] | None = None,
    judged: bool = True,
    error: str = "",
) -> Result | None:
    """Write a record, judged as the run judges it."""
    folder.mkdir(parents=True)
    known = {
        "parity": "0.1.0",
        "scenario": scenario.name,
        "stack": "compose/rabbitmq",
        "runtime": "docker",
        "seed": 7,
        "started": "2026-01-02T03:04:05+00:00",
        "job_id": "job-{number:06d}",
        "images": {"rabbit1": "sha256:0123", "worker": "sha256:4567"},
        "again": f"parity run {folder}/scenario.yaml --stack compose/rabbitmq --seed 7",
    }
    (folder / "run.json").write_text(json.dumps(known | (facts or {})))
    (folder / "scenario.yaml").write_text(scenario.to_yaml())
    (folder / "logs").mkdir()
    (folder / "logs" / "worker-1.log").write_text("hello\n")
    with HistoryWriter(folder / "history.jsonl") as writer:
        for event in events:
            writer.write(event)
    if not judged:
        return None
    judgement = None if error else judge(read_history(folder / "history.jsonl"), scenario.properties)
    result = Result(
        scenario=scenario.name,
        stack="compose/rabbitmq",
        runtime="docker",
        seed=7,
        expectation=expectation or Expectation(),
        judgement=judgement,
        seconds=12.3,
        faults_s=1.0,
        record=folder,
        error=error,
    )
    data = result.as_dict() | {"as_expected": result.as_expected}
    if judgement:
        data["findings"] = json.loads(msgspec.json.encode(judgement.findings))
        data["tally"] = json.loads(msgspec.json.encode(judgement.tally))
    (folder / "verdict.json").write_text(json.dumps(data))
    return result


def surroundings() -> list[Event]:
    """A node that goes down, an instance that starts, a queue that fills: something for each lane."""
    kill = {"fault": 0, "kind": "kill", "target": "queue leader", "on": ("rabbit1",)}
    return [
        Node(t_us=us(0.1), node="rabbit1", state="running"),
        Node(t_us=us(0.1), node="postgres", state="running"),
        Instance(t_us=us(0.2), instance="a", state="starting"),
        Instance(t_us=us(0.5), instance="a", state="running"),
        Queue(t_us=us(0.6), queue="jobs", ready=0, unacknowledged=0, leader="rabbit1"),
        Fault(t_us=us(1.5), phase="applying", **kill),
        Fault(t_us=us(1.6), phase="applied", **kill),
        Fault(t_us=us(1.7), phase="proved", detail="rabbit1 exited with 137", **kill),
        Node(t_us=us(1.7), node="rabbit1", state="down"),
        Queue(t_us=us(1.9), queue="jobs", ready=5, unacknowledged=1, leader="rabbit2"),
        Fault(t_us=us(5), phase="healed", **kill),
        Node(t_us=us(6), node="rabbit1", state="running"),
        Queue(t_us=us(7), queue="jobs", ready=0, unacknowledged=0, leader="rabbit2"),
    ]


def scaled_out() -> list[Event]:
    """A group that grows from one to two: capacity, lifecycle states, activities and connections."""
    second = {"activity": "2", "description": "Launching a new EC2 instance: i-2", "cause": "an alarm", "instance": "b"}
    return [
        Capacity(t_us=us(0.3), desired=1, min_size=1, max_size=3, in_service=1),
        Lifecycle(t_us=us(0.3), instance="a", state="InService", zone="us-east-1a"),
        Capacity(t_us=us(2), desired=2, min_size=1, max_size=3, in_service=1, pending=1),
        Activity(t_us=us(2), status="PreInService", **second),
        Lifecycle(t_us=us(2), instance="b", state="Pending:Wait", zone="us-east-1b"),
        Connections(t_us=us(3), used=4, limit=12),
        Activity(t_us=us(4), status="Successful", **second),
        Lifecycle(t_us=us(4), instance="b", state="InService", zone="us-east-1b"),
        Capacity(t_us=us(4), desired=2, min_size=1, max_size=3, in_service=2),
        Activity(t_us=us(5), activity="3", status="PreInService", description="Terminating EC2 instance: i-2"),
    ]


def in_order(*parts: Iterable[Event]) -> list[Event]:
    """The events of several parts in the order of their times."""
    return sorted((event for part in parts for event in part), key=lambda event: event.t_us)
