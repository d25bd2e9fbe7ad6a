"""Logs of a kept stack's instances outlive them, and the process that took them in."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")

from kept import Kept, awaited, kept_stack, log_of

pytestmark = pytest.mark.docker
BUCKET = "logs-live"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_stack(tmp_path_factory.mktemp("archive"), overlay="logs-streamed") as kept:
        yield kept


def archived(kept: Kept, instance: str) -> list[str]:
    s3 = kept.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{instance}/").get("Contents", [])
    contents = [s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read().decode() for one in found]
    return "".join(contents).splitlines()


def test_the_lines_of_a_terminated_instance_are_in_the_archive(kept: Kept) -> None:
    """They are there once it is gone, and still after the process was killed and started again."""
    before = kept.at(2)
    containers = kept.containers()
    for container in containers.values():
        awaited("a worker at work", lambda container=container: "connected to" in log_of(container))
    lines = {name: log_of(container).splitlines() for name, container in containers.items()}
    (stays,) = kept.at(1)
    (gone,) = set(before) - {stays}
    assert set(lines[gone]) <= set(archived(kept, gone))
    os.kill(kept.attendant, signal.SIGKILL)
    kept.up()
    assert set(lines[gone]) <= set(archived(kept, gone))
    assert kept.settled(1) == [stays]
