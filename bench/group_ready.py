"""How long a group takes from 2 instances to 20 in service, through the AWS endpoint, on containers.

Against it the same 18 containers, created and started by the Engine API alone with as many at a time, in turn in one
run: same image, command, environment, network and addresses, on the same stack.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import boto3

from parity.service.papers import Address
from parity.service.start import ensure_attended
from parity.stack.description import load_stack
from parity.stack.engine import Filters, engine, wait_for
from parity.stack.instances import LABEL_GROUP, LABEL_INSTANCE, LABEL_LINK
from parity.stack.lanes import QUICK
from parity.stack.owner import LABEL_STACK
from parity.stack.stack import Stack, blueprint, running_stack

ROUNDS = 3
SMALL, LARGE = 2, 20
RATIO_MAX = 1.2
GROUP = "worker"
_LOOK_S = 0.1


def bench(root: Path) -> dict[str, Any]:
    """Measure; seconds of wall time.

    Returns:
        Name, figures and bounds.
    """
    plan = blueprint(load_stack("compose/rabbitmq", root=root))
    group_s: list[float] = []
    engine_s: list[float] = []
    with running_stack(plan, progress=print) as stack:
        address = ensure_attended(stack, root=root, period_s=60, port=0)
        group = Group(address)
        group.begin()
        for number in range(ROUNDS):
            # What the machine does besides drifts: neither is always the first.
            for measure in (group_s, engine_s) if number % 2 == 0 else (engine_s, group_s):
                measure.append(_by_the_group(group) if measure is group_s else _by_the_engine(stack))
            print(f"group {group_s[-1]:.2f} s, engine alone {engine_s[-1]:.2f} s")
    return {
        "name": "group ready",
        "figures": {
            "instances": LARGE - SMALL,
            "at_a_time": QUICK,
            "group_s": [round(value, 2) for value in group_s],
            "engine_alone_s": [round(value, 2) for value in engine_s],
            "ratio": round(median(group_s) / median(engine_s), 2),
        },
        "bound": {"ratio": RATIO_MAX},
    }


class Group:
    """The stack's group, through its endpoint."""

    def __init__(self, address: Address) -> None:
        self._client = boto3.client(
            "autoscaling",
            endpoint_url=address.url,
            region_name=address.region,
            aws_access_key_id="parity",
            aws_secret_access_key="parity",
        )

    def begin(self) -> None:
        """Have the small number of instances."""
        self._client.update_auto_scaling_group(
            AutoScalingGroupName=GROUP, MinSize=1, MaxSize=LARGE, DesiredCapacity=SMALL
        )
        self.wait(SMALL)

    def resize(self, count: int) -> None:
        """Ask for so many instances."""
        self._client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=count)

    def wait(self, count: int) -> None:
        """Wait until just so many are there, all in service."""

        def look() -> tuple[bool | None, str]:
            (group,) = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
            states = [one["LifecycleState"] for one in group["Instances"]]
            return (True if states == ["InService"] * count else None), str(states)

        wait_for(f"{count} instances in service", look, within_s=180, every_s=_LOOK_S)


def _by_the_group(group: Group) -> float:
    start = time.monotonic()
    group.resize(LARGE)
    group.wait(LARGE)
    took_s = time.monotonic() - start
    group.resize(SMALL)
    group.wait(SMALL)
    return took_s


def _by_the_engine(stack: Stack) -> float:
    with _prepared(stack) as configurations, ThreadPoolExecutor(max_workers=QUICK) as pool:
        start = time.monotonic()
        list(pool.map(_run, configurations))
        return time.monotonic() - start


def _run(configuration: dict[str, Any]) -> None:
    made = engine().api.create_container_from_config(configuration, name=configuration["Hostname"])
    engine().api.start(made["Id"])


@contextmanager
def _prepared(stack: Stack) -> Iterator[list[dict[str, Any]]]:
    """What to ask the engine for to have the instances' like, as many as the group launches; removed in the end."""
    chosen: Filters = {"label": [f"{LABEL_STACK}={stack.id}", LABEL_INSTANCE]}
    models = engine().containers.list(filters=chosen)
    run_id = secrets.token_hex(4)
    configurations = [
        _configuration(models[number % len(models)].attrs, run_id, number) for number in range(LARGE - SMALL)
    ]
    try:
        yield configurations
    finally:
        with ThreadPoolExecutor(max_workers=QUICK) as pool:
            list(pool.map(_remove, configurations))


def _configuration(attributes: dict[str, Any], run_id: str, number: int) -> dict[str, Any]:
    """An instance's own configuration, but for its name, its link-local address, and that it is nobody's instance."""
    labels = {
        key: value
        for key, value in attributes["Config"]["Labels"].items()
        if key not in (LABEL_INSTANCE, LABEL_GROUP, LABEL_LINK)
    }
    name = f"bench-{run_id}-{number}"
    ((network, known),) = attributes["NetworkSettings"]["Networks"].items()
    # No instance's: those have an even chance to be anything but this.
    endpoint = {"IPAMConfig": {"LinkLocalIPs": [f"169.254.255.{number + 1}"]}, "Aliases": [name]}
    assert known["IPAMConfig"]["LinkLocalIPs"], "instances have a link-local address, and so has their like"
    return attributes["Config"] | {
        "Hostname": name,
        "Labels": labels,
        "HostConfig": attributes["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": {network: endpoint}},
    }


def _remove(configuration: dict[str, Any]) -> None:
    engine().api.remove_container(configuration["Hostname"], force=True, v=True)
