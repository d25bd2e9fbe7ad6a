"""The worlds that every statement is held in: one body, two ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from model_world import ModelWorld


@pytest.fixture(scope="session")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One kept stack serves all; its own group is emptied, so that there is room for theirs."""
    pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")
    from endpoint_world import EndpointWorld, KeptStack

    stack = KeptStack(tmp_path_factory.mktemp("scaling"))
    try:
        environment = stack.up()
        world = EndpointWorld(environment)
        world.autoscaling.update_auto_scaling_group(AutoScalingGroupName="worker", MinSize=0, DesiredCapacity=0)
        yield environment
    finally:
        stack.down()


@pytest.fixture(params=["model", pytest.param("endpoint", marks=pytest.mark.docker)])
def world(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Where a statement must hold: in the model in virtual time, and at the endpoint with containers."""
    if request.param == "model":
        yield ModelWorld()
        return
    from endpoint_world import EndpointWorld

    world = EndpointWorld(request.getfixturevalue("_environment"))
    try:
        yield world
    finally:
        world.clear()
