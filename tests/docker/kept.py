"""A kept stack with its AWS endpoint, in a folder of its own, for the tests that need one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import docker

from parity.stack.engine import wait_for

ROOT = Path(__file__).parents[2]
PARITY = [sys.executable, "-m", "parity"]
#: Whatever points AWS tools somewhere, so that only the stack's own settings do.
_AWS = ("AWS_", "BOTO_", "LOCALSTACK_", "EDGE_PORT")
GROUP = "worker"


class Kept:
    """A stack of the reference's files under a name of its own, kept."""

    def __init__(self, folder: Path, *, overlay: str = "deployed-from-git") -> None:
        compose = folder / "compose"
        compose.mkdir()
        (compose / "rabbitmq").symlink_to(ROOT / "compose/rabbitmq")
        (compose / "images").symlink_to(ROOT / "compose/images")
        self.name = f"{compose}/rabbitmq+{overlay}"
        self._state = folder / "state"
        self._client = docker.from_env()

    def parity(self, *arguments: str, code: int | None = 0) -> str:
        """A command's standard output."""
        environment = os.environ | {"PARITY_STATE_DIR": str(self._state)}
        return run(*PARITY, *arguments, environment=environment, code=code)

    def up(self) -> None:
        self.parity("up", self.name, "--metrics-every", "2s")
        lines = self.parity("env", "--stack", self.name).splitlines()
        self.environment = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        (self.folder,) = [path.parent for path in self._state.glob("parity/*/kept")]
        self.id = self.folder.name

    def run(self, *command: str, code: int | None = 0) -> str:
        """Run a tool that the environment points at the stack's endpoint; its standard output."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_AWS)}
        environment = kept | self.environment | {"PARITY_STATE_DIR": str(self._state), "AWS_PAGER": ""}
        return run(*command, environment=environment, code=code)

    @property
    def attendant(self) -> int:
        return int((self.folder / "attendant/pid").read_text())

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def group(self, name: str = GROUP) -> dict[str, Any]:
        (group,) = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
            "AutoScalingGroups"
        ]
        return group

    def containers(self, group: str = "") -> dict[str, Any]:
        """The instances' containers that run: a group's, or all."""
        chosen = [f"dev.parity.stack={self.id}", "dev.parity.instance"]
        chosen += [f"dev.parity.group={group}"] if group else []
        found = self._client.containers.list(filters={"label": chosen}, ignore_removed=True)
        return {container.labels["dev.parity.instance"]: container for container in found}

    def service(self, name: str) -> Any:
        """The container of one of the stack's services."""
        return self._client.containers.get(f"parity-{self.id}_{name}_1")

    def settled(self, count: int, group: str = GROUP) -> list[str]:
        """Wait until so many instances are in service, and are just the containers that run."""

        def look() -> tuple[list[str] | None, str]:
            members = self.group(group)["Instances"]
            inside = sorted(one["InstanceId"] for one in members if one["LifecycleState"] == "InService")
            running = sorted(self.containers(group))
            last = f"in service {inside}, members {len(members)}, running {running}"
            return (inside if inside == running and len(inside) == len(members) == count else None), last

        return wait_for(f"{count} instances", look, within_s=90, every_s=0.2)

    def resize(self, count: int, group: str = GROUP) -> None:
        self.client("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=count)

    def at(self, count: int) -> list[str]:
        """Have so many instances; wherever a test begins, it does not matter which was before."""
        self.resize(count)
        return self.settled(count)

    def status(self, kind: str) -> list[dict[str, Any]]:
        """What `parity status` shows of a kind, of this stack: others may be kept on the same engine."""
        rows = [json.loads(line) for line in self.parity("status", "--json").splitlines()]
        return [row for row in rows if row["kind"] == kind and row["stack"] == self.id]

    def left(self) -> set[str]:
        chosen = {"label": f"dev.parity.stack={self.id}"}
        found = {one.name for one in self._client.containers.list(all=True, filters=chosen, ignore_removed=True)}
        found |= {one.name for one in self._client.networks.list(filters=chosen)}
        made = self._client.images.list(filters={"label": f"dev.parity.made-in={self.id}"})
        return found | {tag for one in made for tag in one.tags}


@contextmanager
def kept_stack(folder: Path, *, overlay: str = "deployed-from-git") -> Iterator[Kept]:
    """A kept stack, taken down in the end."""
    kept = Kept(folder, overlay=overlay)
    try:
        kept.up()
        yield kept
    finally:
        kept.parity("down", kept.name, code=None)


def run(*command: str, environment: dict[str, str], code: int | None = 0) -> str:
    """A command's standard output; with `code` None whatever comes of it."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert code is None or done.returncode == code, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout if code in (0, None) else done.stderr


def awaited(what: str, look: Callable[[], Any], *, within_s: float = 60) -> Any:
    return wait_for(what, lambda: ((found := look()) or None, repr(found)), within_s=within_s, every_s=0.2)


def log_of(container: Any) -> str:
    return str(container.logs().decode())


def said(container: Any, line: str) -> str:
    """A container's log, once it has a line."""
    return str(awaited(line, lambda: text if line in (text := log_of(container)) else ""))
