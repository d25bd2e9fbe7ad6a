"""Whether a queue shows a policy: literal answers of the management API."""

from __future__ import annotations

from typing import Any

import pytest

from parity.stack.policy import in_force

ALL = {"ha-mode": "all", "ha-sync-mode": "automatic"}
MANUAL = ALL | {"ha-sync-mode": "manual"}


def classic(**shown: Any) -> dict[str, Any]:
    return {"name": "jobs", "type": "classic", "policy": "parity", **shown}


@pytest.mark.parametrize(
    ("queue", "definition", "there"),
    [
        pytest.param(None, ALL, False, id="no queue"),
        pytest.param(classic(policy=None), ALL, False, id="no policy yet"),
        pytest.param(classic(slave_nodes=["b"]), MANUAL, False, id="a mirror is missing"),
        pytest.param(classic(slave_nodes=["b", "c"]), MANUAL, True, id="mirrors that stay empty"),
        pytest.param(classic(slave_nodes=["b", "c"]), ALL, False, id="mirrors still to be filled"),
        pytest.param(
            classic(slave_nodes=["b", "c"], synchronised_slave_nodes=["c", "b"]), ALL, True, id="mirrors filled"
        ),
        pytest.param(classic(slave_nodes=["b"]), {"ha-mode": "exactly", "ha-params": 2}, True, id="two copies"),
        pytest.param(classic(), {"max-length": 10}, True, id="no mirrors asked for"),
        pytest.param({"type": "quorum", "policy": None}, ALL, True, id="a quorum queue takes no mirrors"),
        pytest.param({"type": "quorum", "policy": None}, {"max-length": 10}, False, id="but takes other policies"),
    ],
)
def test_a_policy_is_in_force_when_the_queue_shows_all_it_asks_for(
    queue: dict[str, Any] | None, definition: dict[str, Any], there: bool
):
    assert in_force(queue, "jobs", definition, nodes=3)[0] is there


def test_what_is_missing_is_said():
    shown = classic(slave_nodes=["b", "c"], synchronised_slave_nodes=["b"])
    assert in_force(shown, "jobs", ALL, nodes=3)[1] == "jobs has the policy, 2 mirrors of 2, 1 of them synchronised"
