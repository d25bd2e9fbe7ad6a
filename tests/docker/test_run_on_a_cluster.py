"""`parity run --engine ray` on a cluster of two nodes, which share this machine and its engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("ray_home")]


@pytest.fixture
def address() -> Iterator[str]:
    """Where the cluster's head is."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


def start(*arguments: str, address: str, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "parity", "run", *arguments, "--engine", "ray", "--cluster", address]
    return subprocess.Popen(
        [*command, "--json", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
    )


def left(stack_ids: set[str]) -> list[str]:
    """What the engine still has of stacks."""
    client = docker.from_env()
    found = []
    for stack_id in stack_ids:
        chosen = {"label": f"dev.parity.stack={stack_id}"}
        found += [one.name for one in client.containers.list(all=True, filters=chosen)]
        found += [one.name for one in client.networks.list(filters=chosen)]
        found += [one.name for one in client.volumes.list(filters=chosen)]
    return found


def test_two_scenarios_on_two_machines(address: str, tmp_path: Path) -> None:
    """Each machine runs one; results and records are here, and nothing is left there."""
    out = tmp_path / "out"
    names = ("slow-link", "worker-stopped-gracefully")
    run = start(*names, "--stack", "compose/rabbitmq", "--seed", "5", "--lanes", "1", address=address, out=out)
    printed, said = run.communicate(timeout=240)
    assert run.returncode == 0, said
    rows = [json.loads(line) for line in printed.splitlines()]
    assert {row["scenario"]: row["verdict"] for row in rows} == dict.fromkeys(names, "holds")
    facts = [json.loads((Path(row["run"]) / "run.json").read_text()) for row in rows]
    assert len({one["machine"] for one in facts}) == 2
    for row, fact in zip(rows, facts, strict=True):
        folder = Path(row["run"])
        assert folder.parent == out
        assert {"history.jsonl", "verdict.json", "report.html", "junit.xml", "logs"} <= {
            p.name for p in folder.iterdir()
        }
        assert fact["again"].split()[2] == str(folder / "scenario.yaml")
        assert re.search(rf"{fact['machine']}: {row['scenario']} on compose/rabbitmq", said)
    assert left({one["stack_id"] for one in facts}) == []
