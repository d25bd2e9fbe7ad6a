"""How long a stack takes to be ready.

Cold: parity's way of bringing a stack up, against the bare compose tool with the same rendered file and the same
readiness waited for, in turn in one run. Warm: a namespace of its own on a stack that runs, against a cold one.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from parity.stack import compose
from parity.stack.broker import Broker
from parity.stack.database import Database
from parity.stack.description import load_stack
from parity.stack.engine import Filters, engine, wait_for
from parity.stack.stack import Blueprint, blueprint, prepare_images, running_stack

ROUNDS = 3
COLD_RATIO_MAX = 1.1
WARM_MAX_S = 3.0
WARM_RATIO_MAX = 0.1
_NAMESPACES = 10


def bench(root: Path) -> dict[str, Any]:
    """Measure; seconds of wall time.

    Returns:
        Name, figures and bounds.
    """
    plan = blueprint(load_stack("compose/rabbitmq", root=root))
    images = prepare_images(plan, print)
    cold_s: list[float] = []
    bare_s: list[float] = []
    warm_s: list[float] = []
    for round_number in range(ROUNDS):
        cold, warm = _parity(plan)
        cold_s.append(cold)
        warm_s += warm
        bare_s.append(_bare(plan, images, f"bench-bare-{round_number}"))
    return {
        "name": "stack ready",
        "figures": {
            "parity_s": [round(value, 1) for value in cold_s],
            "bare_compose_s": [round(value, 1) for value in bare_s],
            "cold_ratio": round(median(cold_s) / median(bare_s), 2),
            "namespace_s": round(median(warm_s), 2),
            "namespace_s_max": round(max(warm_s), 2),
            "warm_ratio": round(median(warm_s) / median(cold_s), 3),
        },
        "bound": {"cold_ratio": COLD_RATIO_MAX, "namespace_s": WARM_MAX_S, "warm_ratio": WARM_RATIO_MAX},
    }


def _parity(plan: Blueprint) -> tuple[float, list[float]]:
    """Seconds to a ready stack, and to each of some namespaces on it."""
    start = time.monotonic()
    with running_stack(plan, progress=lambda _: None) as stack:
        cold = time.monotonic() - start
        warm = []
        for number in range(_NAMESPACES):
            start = time.monotonic()
            with stack.namespace(f"bench-{number}"):
                warm.append(time.monotonic() - start)
        return cold, warm


def _bare(plan: Blueprint, images: dict[str, str], project: str) -> float:
    """Seconds for the compose tool alone, until the nodes run and the database answers."""
    description = plan.files.description
    ports = {name: [description.broker.management_port] for name in description.broker.services}
    ports[description.database.service] = [description.database.port]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "compose.yaml"
        file.write_text(compose.render(plan.backing, ports=ports, images=images, labels={"bench": project}))
        command = [*compose.compose_command(), "-f", str(file), "-p", project]
        try:
            start = time.monotonic()
            subprocess.run([*command, "up", "-d"], check=True, capture_output=True)
            _wait_ready(plan, project)
            return time.monotonic() - start
        finally:
            subprocess.run([*command, "down", "-v", "-t", "1"], check=True, capture_output=True)


def _wait_ready(plan: Blueprint, project: str) -> None:
    description = plan.files.description
    chosen: Filters = {"label": f"com.docker.compose.project={project}"}
    containers = {
        container.labels["com.docker.compose.service"]: container
        for container in engine().containers.list(all=True, filters=chosen)
    }
    broker = Broker(description.broker, {name: containers[name] for name in description.broker.services})
    database = Database(description.database, containers[description.database.service])

    def look() -> tuple[bool | None, str]:
        states = broker.node_states()
        ready = all(state == "running" for state in states.values()) and database.is_ready()
        return (True if ready else None), str(states)

    try:
        wait_for("the bare stack", look, within_s=120, every_s=0.25)
    finally:
        broker.close()
        database.close()
