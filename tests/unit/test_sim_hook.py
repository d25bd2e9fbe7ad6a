"""What becomes of simulated workers whose instances wait in their terminate hook."""

from __future__ import annotations

import pytest

from parity.check import Judgement, judge
from parity.history.events import Called, Delivery, Event, Instance
from parity.model.settings import ModelSettings
from parity.run.draws import SeededDraws
from parity.scenario.scenario import read_scenario
from parity.scenario.source import Source
from parity.sim.run import simulate
from parity.sim.tape import Tape

HOOK = """
  setup:
    - call: PutLifecycleHook
      request:
        LifecycleHookName: drain
        LifecycleTransition: "autoscaling:EC2_INSTANCE_TERMINATING"
        HeartbeatTimeout: {timeout}
        DefaultResult: CONTINUE
"""
SCALE_IN = "{call: SetDesiredCapacity, request: {DesiredCapacity: 1}, at: delivery 3}"


def run(
    on_terminate: str, *, hook: bool = True, timeout: int = 600, more: str = "", shipping: str = "none"
) -> tuple[list[Event], Judgement]:
    """A run in which three workers each have a job of 3 s in hand, and two of them are scaled in: a second to stop."""
    text = f"""
about: x
stacks: [{{stack: x}}]
group:
  desired: 3
  pace: 20{HOOK.format(timeout=timeout) if hook else ""}
workload: {{jobs: 5, rate: 0}}
steps: [{SCALE_IN}{more}]
properties: {{drained_before_termination: true, redelivered_within: 20s}}
"""
    worker = {
        "job_duration": "3",
        "prefetch": 1,
        "stop_grace": 1,
        "on_terminate": on_terminate,
        "log_shipping": shipping,
    }
    settings = ModelSettings.model_validate({"worker": worker, "broker": {"queue_type": "quorum"}})
    scenario = read_scenario(Source(text, file="hook.yaml"), name="hook").draw(SeededDraws(1, "hook"))
    events = simulate(scenario, settings, Tape("1 hook")).events
    return events, judge(events, scenario.properties)


def verdicts(judgement: Judgement) -> dict[str, str]:
    found = {finding.property: finding.verdict.value for finding in judgement.findings}
    assert found["no_job_lost"] == "holds"
    return {name: found[name] for name in ("drained_before_termination", "redelivered_within")}


def ends(events: list[Event]) -> list[tuple[float, int | None]]:
    """When which workers ended before the census, in whole seconds, and how."""
    census_us = max(one.t_us for one in events if getattr(one, "phase", "") == "census")
    exits = [one for one in events if isinstance(one, Instance) and one.state == "exited" and one.t_us < census_us]
    began_us = next(one.t_us for one in events if isinstance(one, Called))
    return [(round((one.t_us - began_us) / 1e6), one.exit_code) for one in exits]


def completed(events: list[Event]) -> int:
    return sum(isinstance(one, Called) and one.operation == "CompleteLifecycleAction" for one in events)


def test_without_a_hook_jobs_are_interrupted_and_delivered_again():
    events, judgement = run("drain", hook=False)
    assert verdicts(judgement) == {"drained_before_termination": "violated", "redelivered_within": "holds"}
    assert (ends(events), completed(events)) == ([(1, 137), (1, 137)], 0)
    assert judgement.tally.redelivered == 2


@pytest.mark.parametrize(("on_terminate", "shipping"), [("drain", "none"), ("ignore", "terminate")])
def test_in_the_hook_jobs_are_finished_first(on_terminate, shipping):
    """The stop grace bounds nothing there."""
    events, judgement = run(on_terminate, shipping=shipping)
    assert verdicts(judgement) == {"drained_before_termination": "holds", "redelivered_within": "unknown"}
    assert (ends(events), completed(events)) == ([(3, 0), (3, 0)], 2)
    assert judgement.tally.redelivered == 0
    # Nor was anything sent to a worker that only waited for the job in hand.
    assert not any(isinstance(one, Delivery) and one.redelivered for one in events)


def test_a_hook_that_is_completed_at_once_helps_nobody():
    events, judgement = run("complete")
    assert verdicts(judgement) == {"drained_before_termination": "violated", "redelivered_within": "holds"}
    assert (ends(events), completed(events)) == ([(2, 137), (2, 137)], 2)


def test_a_hook_that_times_out_first_ends_a_worker_that_drains():
    events, judgement = run("drain", timeout=30)
    assert verdicts(judgement) == {"drained_before_termination": "violated", "redelivered_within": "holds"}
    assert (ends(events), completed(events)) == ([(2, 137), (2, 137)], 0)
