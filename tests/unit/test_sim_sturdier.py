"""More room for timings: what waits for nodes to give each other up does so for longer, and jobs come for longer."""

from __future__ import annotations

from parity.scenario.scenario import Scenario
from parity.sim.sturdier import sturdier

CLOSE = Scenario.model_validate(
    {
        "name": "close",
        "about": "As long as it takes to notice.",
        "stacks": [{"stack": "compose/rabbitmq"}],
        "workload": {"jobs": 20, "rate": 5},
        "steps": [
            {"isolate": "queue leader", "at": "500ms", "for": "8s"},
            {"kill": "the same", "after": "8s"},
            {"scale": 3, "after": "1s"},
        ],
    }
)


def test_what_is_close_gets_room():
    made = list(sturdier(CLOSE))

    assert made[0] == CLOSE
    lengths = [[step.lasts and step.lasts.low_ms for step in one.steps] for one in made]
    waits = [[step.after and step.after.low_ms for step in one.steps] for one in made]
    assert [12_000, None, None] in lengths
    # What is short is a race of another kind and stays, as does what is longer already.
    assert [None, 12_000, 1000] in waits
    assert all(one.steps[0].at.low_ms == 500 for one in made)
    assert {(one.workload.jobs.value, one.workload.rate, one.workload.producers) for one in made} >= {
        (20, 5, 1),
        (200, 10, 1),
        (200, 5, 2),
    }


def test_a_step_without_a_moment_gets_a_pause():
    made = list(sturdier(CLOSE.model_copy(update={"steps": (CLOSE.steps[2].model_copy(update={"after": None}),) * 2})))
    moments = {
        tuple((step.at and step.at.low_ms, step.after and step.after.low_ms) for step in one.steps) for one in made
    }
    assert moments == {((None, None), (None, None)), ((500, None), (None, None)), ((None, None), (None, 500))}
