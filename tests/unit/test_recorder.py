"""The recorder: what an application says becomes the events of one history, and the counts that steps wait for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from parity.history.events import Delivery, Effect, Event, Instance, Phantom, Point, Remark, Submit, Submitted
from parity.history.file import HistoryWriter, read_history
from parity.run.recorder import Recorder
from parity.stack.description import LogSection

LOG = LogSection(
    delivery=r"^delivered (?P<job>\S+)(?: redelivered=(?P<redelivered>[01]))?",
    points={
        "committed": r"^committed (?P<job>\S+)",
        "acknowledged": r"^acknowledged (?P<job>\S+)",
        "rejected": r"^rejected (?P<job>\S+)",
    },
)


class Recorded:
    """A recorder, and the events that can be read back from its file."""

    def __init__(self, path: Path, log: LogSection) -> None:
        self._path = path
        self._writer = HistoryWriter(path)
        self.recorder = Recorder(self._writer, job_id="job-{number:03d}", log=log)

    def events(self) -> list[Event]:
        """Without their times, which are the clock's."""
        kept = []
        for event in read_history(self._path):
            fields = {name: getattr(event, name) for name in event.__struct_fields__} | {"t_us": 0}
            kept.append(type(event)(**fields))
        return kept

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def make(tmp_path):
    made = []

    def recorded(log: LogSection = LOG) -> Recorded:
        made.append(Recorded(tmp_path / f"{len(made)}.jsonl", log))
        return made[-1]

    yield recorded
    for one in made:
        one.close()


@pytest.fixture
def recorded(make):
    return make()


@pytest.fixture
def recorder(recorded):
    """With the jobs 0 to 3 submitted."""
    for number in range(4):
        recorded.recorder.submit(number, "")
    return recorded.recorder


def added(recorded: Recorded) -> list[Event]:
    """What came after the four submits."""
    return recorded.events()[4:]


class TestSubmits:
    def test_a_submit_gives_the_identity_the_application_sees(self, recorded):
        assert recorded.recorder.submit(7, "poison") == "job-007"
        assert recorded.events() == [Submit(t_us=0, job=7, kind="poison")]

    @pytest.mark.parametrize("outcome", ["ok", "fail", "info"])
    def test_an_outcome_is_the_jobs(self, recorded, recorder, outcome):
        recorder.outcome("job-002", outcome, "because")
        assert added(recorded) == [Submitted(t_us=0, job=2, outcome=outcome, reason="because")]

    def test_a_job_is_pending_until_its_outcome_is_known(self, recorder):
        assert recorder.pending() == 4
        recorder.outcome("job-002", "fail", "")
        assert recorder.pending() == 3


class TestLines:
    @pytest.mark.parametrize(
        ("line", "event"),
        [
            ("delivered job-001", Delivery(t_us=0, job=1, worker="w")),
            ("delivered job-001 redelivered=0", Delivery(t_us=0, job=1, worker="w", redelivered=False)),
            ("delivered job-001 redelivered=1", Delivery(t_us=0, job=1, worker="w", redelivered=True)),
            ("committed job-001", Point(t_us=0, job=1, worker="w", point="committed")),
            ("acknowledged job-001 after 3 ms", Point(t_us=0, job=1, worker="w", point="acknowledged")),
            ("rejected job-001", Point(t_us=0, job=1, worker="w", point="rejected")),
        ],
    )
    def test_a_line_is_an_event(self, recorded, recorder, line, event):
        recorder.line("w", line)
        assert added(recorded) == [event]

    @pytest.mark.parametrize("line", ["", "connected to rabbit1", "not delivered job-001", "delivered"])
    def test_a_line_that_matches_nothing_tells_nothing(self, recorded, recorder, line):
        recorder.line("w", line)
        assert added(recorded) == []

    def test_an_application_without_patterns_tells_nothing(self, make):
        silent = make(LogSection())
        silent.recorder.submit(0, "")
        silent.recorder.line("w", "delivered job-000")
        assert silent.events()[1:] == []


class TestPhantoms:
    def test_an_identity_that_was_never_submitted_is_recorded_with_where_it_was_seen(self, recorded, recorder):
        recorder.line("w", "delivered ghost-1")
        recorder.line("w", "committed ghost-2")
        recorder.outcome("ghost-3", "ok", "")
        recorder.effects({"ghost-4": 1})
        assert recorder.found("ghost-5") is None
        assert added(recorded) == [
            Phantom(t_us=0, identity="ghost-1", seen="delivery"),
            Phantom(t_us=0, identity="ghost-2", seen="point"),
            Phantom(t_us=0, identity="ghost-3", seen="submitted"),
            Phantom(t_us=0, identity="ghost-4", seen="effect"),
            Phantom(t_us=0, identity="ghost-5", seen="queue"),
        ]

    def test_it_is_recorded_once(self, recorded, recorder):
        for _ in range(3):
            recorder.effects({"ghost": 1})
            recorder.line("w", "delivered ghost")
        assert added(recorded) == [Phantom(t_us=0, identity="ghost", seen="effect")]

    def test_it_counts_for_nothing(self, recorder):
        recorder.line("w", "delivered ghost")
        recorder.effects({"ghost": 1})
        assert recorder.count("delivery") == recorder.count("effect") == 0
        assert recorder.holding() == []

    def test_a_job_of_this_run_is_none(self, recorder):
        assert recorder.found("job-003") == 3


class TestHolding:
    def test_a_worker_holds_a_job_from_its_delivery(self, recorder):
        recorder.line("a", "delivered job-000")
        assert recorder.holding() == ["a"]

    def test_the_youngest_delivery_comes_first(self, recorder):
        for worker, job in (("a", 0), ("b", 1), ("a", 2)):
            recorder.line(worker, f"delivered job-00{job}")
        assert recorder.holding() == ["a", "b"]

    @pytest.mark.parametrize("points", [("committed", "acknowledged"), ("acknowledged", "committed")])
    def test_a_job_is_held_until_it_is_both_committed_and_acknowledged(self, recorder, points):
        """In whichever order the application does it: between the two is where jobs are lost or done twice."""
        first, second = points
        recorder.line("a", "delivered job-000")
        recorder.line("a", f"{first} job-000")
        assert recorder.holding() == ["a"]
        recorder.line("a", f"{second} job-000")
        assert recorder.holding() == []

    def test_a_job_that_was_given_back_is_not_held(self, recorder):
        recorder.line("a", "delivered job-000")
        recorder.line("a", "rejected job-000")
        assert recorder.holding() == []

    def test_a_job_is_held_by_whom_it_was_handed_to_last(self, recorder):
        recorder.line("a", "delivered job-000")
        recorder.line("b", "delivered job-000 redelivered=1")
        recorder.line("a", "committed job-000")
        recorder.line("a", "acknowledged job-000")
        assert recorder.holding() == ["b"]

    def test_a_dead_worker_holds_nothing(self, recorded, recorder):
        recorder.line("a", "delivered job-000")
        recorder.line("b", "delivered job-001")
        recorder.state("a", "exited", 137, "")
        assert recorder.holding() == ["b"]
        assert added(recorded)[-1] == Instance(t_us=0, instance="a", state="exited", exit_code=137)

    def test_one_point_is_enough_where_the_application_tells_only_one(self, make):
        only = make(LogSection(delivery=LOG.delivery, points={"acknowledged": LOG.points["acknowledged"]})).recorder
        only.submit(0, "")
        only.line("a", "delivered job-000")
        only.line("a", "acknowledged job-000")
        assert only.holding() == []

    def test_the_effect_ends_it_where_the_application_tells_no_point(self, make):
        only = make(LogSection(delivery=LOG.delivery)).recorder
        only.submit(0, "")
        only.line("a", "delivered job-000")
        assert only.holding() == ["a"]
        only.effects({"job-000": 1})
        assert only.holding() == []

    def test_work_is_going_on_while_a_held_job_has_no_effect(self, recorder):
        recorder.line("a", "delivered job-000")
        assert recorder.working()
        recorder.effects({"job-000": 1})
        assert not recorder.working()


class TestEffects:
    def test_only_a_change_is_recorded(self, recorded, recorder):
        for counted in ({"job-000": 1}, {"job-000": 1, "job-001": 1}, {"job-000": 2, "job-001": 1}, {"job-000": 2}):
            recorder.effects(counted)
        assert added(recorded) == [
            Effect(t_us=0, job=0, count=1),
            Effect(t_us=0, job=1, count=1),
            Effect(t_us=0, job=0, count=2),
        ]

    def test_a_job_counts_once_however_often_it_was_done(self, recorder):
        recorder.effects({"job-000": 1})
        recorder.effects({"job-000": 5})
        assert recorder.count("effect") == 1

    def test_what_was_submitted_ok_is_unfinished_until_its_effect(self, recorder):
        recorder.outcome("job-000", "ok", "")
        recorder.outcome("job-001", "ok", "")
        recorder.outcome("job-002", "fail", "")
        recorder.effects({"job-000": 1})
        assert recorder.unfinished() == {1}


class TestWaiting:
    def test_a_count_that_is_reached_ends_the_wait(self, recorder):
        reached = threading.Thread(target=lambda: recorder.line("a", "committed job-000"))
        reached.start()
        assert recorder.wait(lambda: recorder.count("committed") >= 1, within_s=30)
        reached.join()

    def test_a_count_that_was_reached_before_is_not_waited_for(self, recorder):
        assert recorder.wait(lambda: recorder.count("submit") == 4, within_s=0)

    def test_a_count_that_is_not_reached_is_told(self, recorder):
        assert not recorder.wait(lambda: recorder.count("submit") == 5, within_s=0.01)

    @pytest.mark.parametrize(
        ("name", "act"),
        [
            ("submit", lambda recorder: recorder.submit(9, "")),
            ("submitted", lambda recorder: recorder.outcome("job-000", "info", "")),
            ("delivery", lambda recorder: recorder.line("a", "delivered job-000")),
            ("committed", lambda recorder: recorder.line("a", "committed job-000")),
            ("effect", lambda recorder: recorder.effects({"job-000": 1})),
        ],
    )
    def test_every_event_that_a_moment_can_name_is_counted(self, recorder, name, act):
        before = recorder.count(name)
        act(recorder)
        assert recorder.count(name) == before + 1


def test_times_never_go_back(recorded, recorder):
    """Whatever thread an event comes from, the file's order is the clock's."""
    threads = [
        threading.Thread(target=lambda name=name: [recorder.remark(f"{name} {n}") for n in range(200)])
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [event.t_us for event in read_history(recorded._path)]
    assert times == sorted(times)
    assert sum(isinstance(event, Remark) for event in recorded.events()) == 800


def test_the_workloads_clock_starts_with_it(recorder):
    recorder.start_workload()
    assert 0 <= recorder.since_workload_s() < 60
