"""A kept stack with its AWS endpoint, for bodies that speak to it through boto3: instances are containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import docker
import httpx
from botocore.config import Config

from parity.stack.engine import wait_for

ROOT = Path(__file__).parents[2]
PARITY = [sys.executable, "-m", "parity"]
#: Containers take their own time, whatever the time in the region does.
REAL_S = 180.0
JOURNEY_S = 600.0


class KeptStack:
    """The reference stack with one setting of its own, so that it is no other's, kept until it is taken down."""

    def __init__(self, folder: Path) -> None:
        compose = folder / "compose"
        shutil.copytree(ROOT / "compose/rabbitmq", compose / "rabbitmq")
        (compose / "images").symlink_to(ROOT / "compose/images")
        stated = compose / "rabbitmq/compose.yaml"
        text = stated.read_text()
        assert "max_connections=40" in text
        stated.write_text(text.replace("max_connections=40", "max_connections=60"))
        self.name = f"{compose}/rabbitmq"
        self._environment = os.environ | {"PARITY_STATE_DIR": str(folder / "state")}

    def up(self) -> dict[str, str]:
        """Bring it up. Returns what `parity env` says."""
        self._parity("up", self.name, "--port", "0")
        lines = self._parity("env", "--stack", self.name).splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def down(self) -> None:
        self._parity("down", self.name)

    def _parity(self, *arguments: str) -> str:
        done = subprocess.run(
            [*PARITY, *arguments], cwd=ROOT, capture_output=True, text=True, env=self._environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class EndpointWorld:
    """An endpoint that is there already, and containers."""

    id = "endpoint"
    instance_type = "t3.micro"

    def __init__(self, environment: dict[str, str]) -> None:
        self.url = environment["AWS_ENDPOINT_URL"]
        self._environment = environment
        self.autoscaling = self._client("autoscaling")
        self.ec2 = self._client("ec2")
        self.cloudwatch = self._client("cloudwatch")
        self.elbv2 = self._client("elbv2")
        self._engine = docker.from_env()
        self._http = httpx.Client(base_url=self.url, timeout=JOURNEY_S)
        self._names: set[str] = set()
        (group,) = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["worker"])["AutoScalingGroups"]
        source = group["LaunchTemplate"]
        (version,) = self.ec2.describe_launch_template_versions(
            LaunchTemplateId=source["LaunchTemplateId"], Versions=[source["Version"]]
        )["LaunchTemplateVersions"]
        self.image_id = version["LaunchTemplateData"]["ImageId"]

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=self._environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=self._environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
            # What is refused is refused: asking again would only hide it.
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def name(self, stem: str) -> str:
        """A name that nothing else has."""
        name = f"{stem}-{uuid.uuid4().hex[:8]}"
        self._names.add(name)
        return name

    def now(self) -> datetime:
        answer = self._http.get("/_parity/clock")
        return datetime.fromisoformat(answer.raise_for_status().json()["now"]).astimezone(UTC)

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until then; none at all where that has passed."""
        self.advance(max(0.0, (moment - self.now()) / timedelta(seconds=1)))

    def advance(self, seconds: float) -> None:
        answer = self._http.post("/_parity/clock", json={"advance_s": seconds})
        assert answer.status_code == 200, answer.text

    def until(self, condition: Callable[[], Any], *, within_s: float = 120) -> None:
        """Wait until a condition holds, however long containers take for it: `within_s` is the region's time."""
        wait_for(
            "what the statement says",
            lambda: (True if condition() else None, "it does not hold"),
            within_s=max(REAL_S, min(within_s, JOURNEY_S)),
            every_s=0.2,
        )

    def kill(self, instance_id: str) -> None:
        """Have an instance's container die without anybody having asked for it."""
        (container,) = self._engine.containers.list(filters={"label": f"dev.parity.instance={instance_id}"})
        container.kill()

    def clear(self) -> None:
        """Leave nothing of what a body made: groups, their instances, alarms."""
        groups = self._mine()
        for name in groups:
            self.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        alarms = [one["AlarmName"] for one in self.cloudwatch.describe_alarms()["MetricAlarms"]]
        if mine := [alarm for alarm in alarms if any(alarm.startswith(name) for name in self._names)]:
            self.cloudwatch.delete_alarms(AlarmNames=mine)
        self.until(lambda: not self._mine())

    def _mine(self) -> list[str]:
        groups = self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return [group["AutoScalingGroupName"] for group in groups if group["AutoScalingGroupName"] in self._names]
