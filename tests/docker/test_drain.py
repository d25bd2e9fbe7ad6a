"""The drain agent on an instance of a kept stack, where metadata is at 169.254.169.254."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")

from kept import GROUP, Kept, awaited, kept_stack, log_of

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_stack(tmp_path_factory.mktemp("drain"), overlay="drains-in-the-hook") as kept:
        yield kept


def test_an_instance_completes_its_terminate_hook_itself(kept: Kept) -> None:
    """The hook's own time-out is an hour away; nobody else would have the group let go of the instance."""
    before = kept.at(2)
    for container in kept.containers().values():
        awaited("a worker at work", lambda container=container: "connected to" in log_of(container))
    kept.client("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=3600,
    )
    (stays,) = kept.at(1)
    assert stays in before
