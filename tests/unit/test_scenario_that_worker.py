"""`that worker`: the one that made the moment of the history which a step waits for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from parity.history.file import HistoryWriter
from parity.run.recorder import Recorder
from parity.scenario.steps import Step
from parity.stack.description import LogSection


@pytest.mark.parametrize("moment", ["delivery 5..20", "committed 3"])
def test_it_is_known_at_a_moment_that_a_worker_makes(moment: str):
    step = Step.model_validate({"kill": "that worker", "at": moment})
    assert step.target == "that worker"


@pytest.mark.parametrize("moment", [{}, {"at": "2s"}, {"at": "submitted 5"}, {"at": "effect 5"}, {"after": "1s"}])
def test_at_any_other_moment_there_is_none(moment: dict[str, str]):
    with pytest.raises(ValidationError, match="needs `at` with what a worker does"):
        Step.model_validate({"kill": "that worker", **moment})


def test_it_is_the_instance_of_the_latest_event_of_the_name(tmp_path):
    log = LogSection(delivery=r"^delivered (?P<job>\S+)", points={"committed": r"^committed (?P<job>\S+)"})
    with HistoryWriter(tmp_path / "history.jsonl") as writer:
        recorder = Recorder(writer, job_id="job-{number}", log=log)
        for number in (1, 2):
            recorder.submit([number], "")
        recorder.lines("worker-1", ["delivered job-1"])
        recorder.lines("worker-2", ["delivered job-2"])
        recorder.lines("worker-1", ["committed job-1"])
    assert recorder.latest("delivery") == "worker-2"
    assert recorder.latest("committed") == "worker-1"
    assert recorder.latest("acknowledged") == ""
