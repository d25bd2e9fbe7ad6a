"""What of simulated workers' lines is archived: by when they are shipped, and how their instance ends."""

from __future__ import annotations

import pytest

from parity.history.events import Archived, Called, Instance, Printed
from parity.model.settings import ModelSettings
from parity.run.archive import missing_from
from parity.run.draws import SeededDraws
from parity.scenario.scenario import read_scenario
from parity.scenario.source import Source
from parity.sim.run import simulate
from parity.sim.tape import Tape

HOOK = """
  setup:
    - call: PutLifecycleHook
      request:
        LifecycleHookName: logs
        LifecycleTransition: "autoscaling:EC2_INSTANCE_TERMINATING"
        HeartbeatTimeout: 600
        DefaultResult: CONTINUE
"""


def run(shipping: str, step: str, *, hook: bool = False, batch_s: float = 0.5):
    """The events of a run in which instances end."""
    text = f"""
about: x
stacks: [{{stack: x}}]
group:
  desired: 3
  pace: 60{HOOK if hook else ""}
settings: {{}}
workload: {{jobs: 120, rate: 15}}
steps: [{step}]
properties: {{logs_archived: 1s}}
"""
    worker = {"log_shipping": shipping, "log_batch": batch_s, "job_duration": "0.1", "prefetch": 5}
    settings = ModelSettings.model_validate({"worker": worker, "broker": {"queue_type": "quorum"}})
    scenario = read_scenario(Source(text, file="logs.yaml"), name="logs").draw(SeededDraws(1, "logs"))
    return simulate(scenario, settings, Tape("1 logs")).events


def shipped(events):
    printed = {one.instance: one.lines for one in events if isinstance(one, Printed)}
    archived = {one.instance: one for one in events if isinstance(one, Archived)}
    ends = {one.instance: one.t_us for one in events if isinstance(one, Instance) and one.state == "exited"}
    assert printed
    assert printed.keys() == archived.keys() <= ends.keys()
    assert all(lines == archived[name].lines + archived[name].missing for name, lines in printed.items())
    late_s = [(ends[name] - one.missing_since_us) / 1e6 for name, one in archived.items() if one.missing]
    return sum(printed.values()), sum(one.missing for one in archived.values()), max(late_s, default=0)


KILL = "{kill: worker holding a job, at: 4s}"
SCALE_IN = "{call: SetDesiredCapacity, request: {DesiredCapacity: 1}, at: 4s}"


def test_streamed_lines_are_lost_only_of_the_last_moment_before_a_kill():
    printed, missing, late_s = shipped(run("stream", KILL))
    assert 0 < missing < printed
    assert late_s <= 0.6


def test_the_longer_lines_are_gathered_the_more_are_lost():
    assert shipped(run("stream", KILL, batch_s=2))[2] > shipped(run("stream", KILL, batch_s=0.1))[2]


def test_streamed_lines_are_complete_after_a_scale_in():
    assert shipped(run("stream", SCALE_IN))[1] == 0


def test_in_the_hook_all_lines_are_kept_and_the_hook_is_completed():
    events = run("terminate", SCALE_IN, hook=True)
    assert shipped(events)[1] == 0
    called = [one.operation for one in events if isinstance(one, Called)]
    assert called.count("CompleteLifecycleAction") == 2


@pytest.mark.parametrize(("step", "hook"), [(KILL, True), (SCALE_IN, False)])
def test_without_the_hook_s_moment_all_lines_are_lost(step, hook):
    printed, missing, _ = shipped(run("terminate", step, hook=hook))
    assert missing == printed


def test_without_a_shipper_nothing_is_archived():
    printed, missing, _ = shipped(run("none", SCALE_IN))
    assert missing == printed


def test_lines_are_missing_as_often_as_they_were_printed_more():
    assert missing_from([(1, 7), (2, 8), (3, 7), (4, 7)], [7, 8, 9]) == [3, 4]
    assert missing_from([(1, 7)], [7, 7]) == []
