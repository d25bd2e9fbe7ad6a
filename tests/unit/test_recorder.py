"""The recorder: what an application says becomes the events of one history, and the counts that steps wait for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from parity.history.events import Delivery, Effect, Event, Instance, Phantom, Point, Remark, Revision, Submit, Submitted
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
    revision=r"^revision (?P<revision>\S+)",
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
        recorded.recorder.submit([number], "")
    return recorded.recorder


def added(recorded: Recorded) -> list[Event]:
    """What came after the four submits."""
    return recorded.events()[4:]


class TestSubmits:
    def test_a_submit_gives_the_identity_the_application_sees(self, recorded):
        assert recorded.recorder.submit([7], "poison") == ["job-007"]
        assert recorded.events() == [Submit(t_us=0, job=7, kind="poison")]

    @pytest.mark.parametrize("outcome", ["ok", "fail", "info"])
    def test_an_outcome_is_the_jobs(self, recorded, recorder, outcome):
        recorder.outcomes([("job-002", outcome, "because")])
        assert added(recorded) == [Submitted(t_us=0, job=2, outcome=outcome, reason="because")]

    def test_a_job_is_pending_until_its_outcome_is_known(self, recorder):
        assert recorder.pending() == 4
        recorder.outcomes([("job-002", "fail", "")])
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
        recorder.lines("w", [line])
        assert added(recorded) == [event]

    @pytest.mark.parametrize("line", ["", "connected to rabbit1", "not delivered job-001", "delivered"])
    def test_a_line_that_matches_nothing_tells_nothing(self, recorded, recorder, line):
        recorder.lines("w", [line])
        assert added(recorded) == []

    def test_a_line_about_the_revision_is_an_event(self, recorded, recorder):
        assert recorder.revision_of("w1") == ""
        recorder.lines("w1", ["revision one", "delivered job-001", "revision two"])
        recorder.lines("w2", ["a revision is none"])
        told = [event for event in recorded.events() if isinstance(event, Revision)]
        assert told == [Revision(t_us=0, instance="w1", revision=name) for name in ("one", "two")]
        assert [recorder.revision_of(name) for name in ("w1", "w2")] == ["two", ""]

    def test_an_application_without_patterns_tells_nothing(self, make):
        silent = make(LogSection())
        silent.recorder.submit([0], "")
        silent.recorder.lines("w", ["delivered job-000"])
        assert silent.events()[1:] == []


class TestChunks:
    """What comes together is written together, and means what it would one by one."""

    CHUNK = (
        "delivered job-001",
        "connected to rabbit1",
        "committed job-001",
        "delivered ghost",
        "acknowledged job-001",
        "delivered job-002 redelivered=1",
    )

    def test_its_events_are_in_the_order_of_its_lines(self, recorded, recorder):
        recorder.lines("w", self.CHUNK)
        assert added(recorded) == [
            Delivery(t_us=0, job=1, worker="w"),
            Point(t_us=0, job=1, worker="w", point="committed"),
            Phantom(t_us=0, identity="ghost", seen="delivery"),
            Point(t_us=0, job=1, worker="w", point="acknowledged"),
            Delivery(t_us=0, job=2, worker="w", redelivered=True),
        ]

    def test_it_leaves_what_its_lines_would_one_by_one(self, make):
        together, one_by_one = make(), make()
        for one in (together, one_by_one):
            one.recorder.submit(range(4), "")
        together.recorder.lines("w", self.CHUNK)
        for line in self.CHUNK:
            one_by_one.recorder.lines("w", [line])
        assert together.events() == one_by_one.events()
        for name in ("submit", "delivery", "committed", "acknowledged"):
            assert together.recorder.count(name) == one_by_one.recorder.count(name)
            assert together.recorder.latest(name) == one_by_one.recorder.latest(name)
        assert together.recorder.holding() == one_by_one.recorder.holding() == ["w"]

    def test_it_is_on_disk_when_it_was_handled_and_before_a_waiter_hears_of_it(self, recorded, recorder):
        seen = []

        def reached() -> bool:
            if recorder.count("delivery") < 2:
                return False
            seen.extend(added(recorded))
            return True

        waiter = threading.Thread(target=lambda: recorder.wait(reached, within_s=30))
        waiter.start()
        recorder.lines("w", self.CHUNK)
        waiter.join()
        assert len(seen) == 5

    def test_outcomes_come_together_too(self, recorded, recorder):
        recorder.outcomes([("job-000", "ok", ""), ("ghost", "ok", ""), ("job-001", "fail", "returned")])
        assert added(recorded) == [
            Submitted(t_us=0, job=0, outcome="ok"),
            Phantom(t_us=0, identity="ghost", seen="submitted"),
            Submitted(t_us=0, job=1, outcome="fail", reason="returned"),
        ]
        assert recorder.pending() == 2
        assert recorder.unfinished() == {0}

    def test_jobs_are_handed_over_together(self, recorded):
        assert recorded.recorder.submit(range(2, 4), "poison") == ["job-002", "job-003"]
        assert recorded.events() == [Submit(t_us=0, job=2, kind="poison"), Submit(t_us=0, job=3, kind="poison")]
        assert recorded.recorder.count("submit") == 2


class TestPhantoms:
    def test_an_identity_that_was_never_submitted_is_recorded_with_where_it_was_seen(self, recorded, recorder):
        recorder.lines("w", ["delivered ghost-1"])
        recorder.lines("w", ["committed ghost-2"])
        recorder.outcomes([("ghost-3", "ok", "")])
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
            recorder.lines("w", ["delivered ghost"])
        assert added(recorded) == [Phantom(t_us=0, identity="ghost", seen="effect")]

    def test_it_counts_for_nothing(self, recorder):
        recorder.lines("w", ["delivered ghost"])
        recorder.effects({"ghost": 1})
        assert recorder.count("delivery") == recorder.count("effect") == 0
        assert recorder.holding() == []

    def test_a_job_of_this_run_is_none(self, recorder):
        assert recorder.found("job-003") == 3


class TestHolding:
    def test_a_worker_holds_a_job_from_its_delivery(self, recorder):
        recorder.lines("a", ["delivered job-000"])
        assert recorder.holding() == ["a"]

    def test_the_youngest_delivery_comes_first(self, recorder):
        for worker, job in (("a", 0), ("b", 1), ("a", 2)):
            recorder.lines(worker, [f"delivered job-00{job}"])
        assert recorder.holding() == ["a", "b"]

    @pytest.mark.parametrize("points", [("committed", "acknowledged"), ("acknowledged", "committed")])
    def test_a_job_is_held_until_it_is_both_committed_and_acknowledged(self, recorder, points):
        """In whichever order the application does it: between the two is where jobs are lost or done twice."""
        first, second = points
        recorder.lines("a", ["delivered job-000"])
        recorder.lines("a", [f"{first} job-000"])
        assert recorder.holding() == ["a"]
        recorder.lines("a", [f"{second} job-000"])
        assert recorder.holding() == []

    def test_a_job_that_was_given_back_is_not_held(self, recorder):
        recorder.lines("a", ["delivered job-000"])
        recorder.lines("a", ["rejected job-000"])
        assert recorder.holding() == []

    def test_a_job_is_held_by_whom_it_was_handed_to_last(self, recorder):
        recorder.lines("a", ["delivered job-000"])
        recorder.lines("b", ["delivered job-000 redelivered=1"])
        recorder.lines("a", ["committed job-000"])
        recorder.lines("a", ["acknowledged job-000"])
        assert recorder.holding() == ["b"]

    def test_a_dead_worker_holds_nothing(self, recorded, recorder):
        recorder.lines("a", ["delivered job-000"])
        recorder.lines("b", ["delivered job-001"])
        recorder.state("a", "exited", 137, "")
        assert recorder.holding() == ["b"]
        assert added(recorded)[-1] == Instance(t_us=0, instance="a", state="exited", exit_code=137)

    def test_one_point_is_enough_where_the_application_tells_only_one(self, make):
        only = make(LogSection(delivery=LOG.delivery, points={"acknowledged": LOG.points["acknowledged"]})).recorder
        only.submit([0], "")
        only.lines("a", ["delivered job-000"])
        only.lines("a", ["acknowledged job-000"])
        assert only.holding() == []

    def test_the_effect_ends_it_where_the_application_tells_no_point(self, make):
        only = make(LogSection(delivery=LOG.delivery)).recorder
        only.submit([0], "")
        only.lines("a", ["delivered job-000"])
        assert only.holding() == ["a"]
        only.effects({"job-000": 1})
        assert only.holding() == []

    def test_work_is_going_on_while_a_held_job_has_no_effect(self, recorder):
        recorder.lines("a", ["delivered job-000"])
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
        recorder.outcomes([("job-000", "ok", "")])
        recorder.outcomes([("job-001", "ok", "")])
        recorder.outcomes([("job-002", "fail", "")])
        recorder.effects({"job-000": 1})
        assert recorder.unfinished() == {1}


class TestWaiting:
    def test_a_count_that_is_reached_ends_the_wait(self, recorder):
        reached = threading.Thread(target=lambda: recorder.lines("a", ["committed job-000"]))
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
            ("submit", lambda recorder: recorder.submit([9], "")),
            ("submitted", lambda recorder: recorder.outcomes([("job-000", "info", "")])),
            ("delivery", lambda recorder: recorder.lines("a", ["delivered job-000"])),
            ("committed", lambda recorder: recorder.lines("a", ["committed job-000"])),
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
