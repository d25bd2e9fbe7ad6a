"""The controller: calls, facts and time reach the region one at a time, and nothing that was answered is lost."""

from __future__ import annotations

import os
import threading

import msgspec
import pytest

from parity.aws.clock import Clock
from parity.aws.controller import Controller, revive
from parity.aws.fleet import PaperFleet
from parity.aws.journal import Called, Journal, Snapshot
from parity.errors import NotReadyError, RecordError, ServiceError
from parity.model.scaling import region as registry
from parity.model.scaling.state import Instance, State
from parity.model.scaling.world import Launch, Notify, Running, Terminate

SECOND_US = 1_000_000
DEADLINE_S = 10.0


@pytest.fixture
def toy(monkeypatch):
    """A service of a few operations, so that the controller is tested whatever the model does."""

    def register(kind, key, function):
        monkeypatch.setitem(getattr(registry, kind), key, function)

    def start(region, request):
        if not request.get("Image"):
            raise ServiceError("ValidationError", "no image")
        instance = Instance(region.new_id("i-"), request["Image"], "t", "a", "s", region.now_us)
        region.state.instances[instance.instance_id] = instance
        region.act(Launch(instance.instance_id, instance.image_id))
        region.act(Notify("arn:topic", {"started": instance.instance_id}))
        return {"InstanceId": instance.instance_id}

    def later(region, request):
        region.at(region.now_us + request["InS"] * SECOND_US, "toy-start", request["Image"])
        return {}

    def break_off(region, request):
        region.state.tags["half"] = {}
        raise RuntimeError("a defect")

    def running(region, told):
        region.state.instances[told.instance_id].state = "running"
        region.state.instances[told.instance_id].launched_us = region.now_us

    register("OPERATIONS", ("toy", "Start"), start)
    register("OPERATIONS", ("toy", "Later"), later)
    register("OPERATIONS", ("toy", "BreakOff"), break_off)
    register("OPERATIONS", ("toy", "Read"), lambda region, _: {"NowUs": region.now_us})
    register("_TIMERS", "toy-start", lambda region, image: start(region, {"Image": image}) and None)
    register("_FACTS", Running, running)
    monkeypatch.setattr(registry, "READS", registry.READS | {("toy", "Read")})
    monkeypatch.setattr("parity.aws.controller.READS", registry.READS)


class SlowFleet:
    """Answers only when it is let, as containers do."""

    def __init__(self):
        self.asked = []
        self.adopted = None
        self.tell = None
        self._open = []
        self._changed = threading.Condition()

    def apply(self, actions):
        with self._changed:
            self.asked += actions
            self._open += actions
            self._changed.notify_all()

    def busy(self):
        return bool(self._open)

    def under_way(self):
        return f"{len(self._open)} launches"

    def adopt(self, instances):
        self.adopted = sorted(instances)

    def wait_asked(self):
        with self._changed:
            assert self._changed.wait_for(lambda: self._open, DEADLINE_S)

    def answer_all(self):
        for action in list(self._open):
            self.tell(Running(action.instance_id, private_ip="10.0.0.1"))
            self._open.remove(action)


def new():
    return State(seed=7, now_us=0)


def made(folder, fleet=None, **more):
    journal = Journal(folder, journal_bytes_min=more.pop("journal_bytes_min", 4_000_000))
    region, clock = revive(journal, new)
    told = []
    fleet = fleet or PaperFleet(told.append)
    controller = Controller(region, fleet, clock, journal, **more)
    if isinstance(fleet, SlowFleet):
        fleet.tell = controller.tell
    else:
        fleet._tell = controller.tell
    return controller


def start(controller, image="ami-1"):
    return controller.call("toy", "Start", {"Image": image}, dict)["InstanceId"]


def digest(controller):
    return controller.look(msgspec.json.encode)


def states(controller):
    return controller.look(lambda state: {i.instance_id: i.state for i in state.instances.values()})


def test_a_call_is_answered_and_its_actions_are_with_the_fleet(toy, tmp_path):
    fleet, sent = SlowFleet(), []
    with made(tmp_path, fleet, notify=sent.append) as controller:
        instance = start(controller)
        assert [type(action) for action in fleet.asked] == [Launch]
        assert [note.message for note in sent] == [{"started": instance}]
        assert states(controller) == {instance: "pending"}
        fleet.answer_all()
        controller.wait_idle(DEADLINE_S)
        assert states(controller) == {instance: "running"}


def test_what_is_not_modelled_and_what_is_refused_change_nothing(toy, tmp_path):
    with made(tmp_path) as controller:
        start(controller)
        controller.wait_idle(DEADLINE_S)
        before = controller.look(lambda state: (state.drawn, msgspec.json.encode(state.instances)))
        with pytest.raises(KeyError):
            controller.call("toy", "Nonsense", {}, dict)
        with pytest.raises(ServiceError):
            controller.call("toy", "Start", {}, dict)
        assert controller.look(lambda state: (state.drawn, msgspec.json.encode(state.instances))) == before


def test_what_is_due_happens_without_anybody_calling(toy, tmp_path):
    fleet = SlowFleet()
    with made(tmp_path, fleet) as controller:
        controller.call("toy", "Later", {"Image": "ami-1", "InS": 0.2}, dict)
        fleet.wait_asked()


def test_time_travel_waits_for_the_fleet_and_containers_take_no_time_of_it(toy, tmp_path):
    fleet = SlowFleet()
    with made(tmp_path, fleet) as controller:
        began_us = controller.clock.now_us()
        for hour in (1, 2):
            controller.call("toy", "Later", {"Image": "ami-1", "InS": hour * 3600}, dict)
        traveller = threading.Thread(target=controller.advance, args=(3 * 3600,))
        traveller.start()
        for hour in (1, 2):
            fleet.wait_asked()
            assert len(fleet.asked) == hour, "the second launch waits until the first is answered"
            fleet.answer_all()
        traveller.join(DEADLINE_S)
        assert not traveller.is_alive()
        offsets = controller.look(lambda state: [i.launched_us - began_us for i in state.instances.values()])
        assert [round(offset / SECOND_US / 3600, 3) for offset in offsets] == [1.0, 2.0]
        assert 3 * 3600 <= (controller.clock.now_us() - began_us) / SECOND_US < 3 * 3600 + DEADLINE_S


def test_time_travel_says_what_it_waited_for_in_vain(toy, tmp_path):
    with made(tmp_path, SlowFleet()) as controller:
        start(controller)
        with pytest.raises(NotReadyError, match="1 launches"):
            controller.advance(10, patience_s=0.05)
        assert not controller.clock.held
        with pytest.raises(ValueError, match="forward"):
            controller.advance(-1)


def test_killed_at_any_line_it_comes_back_as_it_was(toy, tmp_path):
    """Every prefix of the journal gives the state that there was after it; half a line more changes nothing."""
    kept = tmp_path / "kept"
    fleet = SlowFleet()
    digests = []
    with made(kept, fleet) as controller:
        [journal] = kept.glob("journal-*.jsonl")

        def note():
            digests.append((journal.read_bytes(), digest(controller)))

        note()
        for _ in range(3):
            start(controller)
            note()
            fleet.answer_all()
            controller.wait_idle(DEADLINE_S)
            note()
        controller.call("toy", "Later", {"Image": "ami-2", "InS": 50}, dict)
        note()
        with pytest.raises(RuntimeError):
            controller.call("toy", "BreakOff", {}, dict)
        note()
    [snapshot] = kept.glob("snapshot-*.json")
    for number, (lines, expected) in enumerate(digests):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / snapshot.name).write_bytes(snapshot.read_bytes())
        (folder / journal.name).write_bytes(lines + b'{"type":"call","now_us":12')
        with Journal(folder) as again:
            region, _ = revive(again, new)
        # Reading the time is not kept, so the last moment may be an earlier one.
        region.state.now_us = msgspec.json.decode(expected)["now_us"]
        assert msgspec.json.encode(region.state) == expected
        assert (folder / journal.name).read_bytes() == lines


def test_snapshots_say_the_same_as_the_lines_they_stand_for(toy, tmp_path):
    with made(tmp_path, journal_bytes_min=300) as controller:
        for _ in range(40):
            start(controller)
        controller.wait_idle(DEADLINE_S)
        expected = digest(controller)
    [snapshot] = tmp_path.glob("snapshot-*.json")
    assert snapshot.name != "snapshot-1.json", "there were several, and older ones are removed"
    with Journal(tmp_path) as again:
        region, _ = revive(again, new)
    region.state.now_us = msgspec.json.decode(expected)["now_us"]
    assert msgspec.json.encode(region.state) == expected


def test_killed_before_a_snapshot_was_written_all_journals_since_the_last_one_count(toy, tmp_path, monkeypatch, caplog):
    with made(tmp_path, journal_bytes_min=300) as controller:

        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(controller._journal, "_write", fail)
        for _ in range(10):
            start(controller)
        controller.wait_idle(DEADLINE_S)
        expected = digest(controller)
    assert len(list(tmp_path.glob("journal-*"))) > 1
    assert [path.name for path in tmp_path.glob("snapshot-*")] == ["snapshot-1.json"]
    assert "a snapshot was not written" in caplog.text
    with Journal(tmp_path) as again:
        region, _ = revive(again, new)
    region.state.now_us = msgspec.json.decode(expected)["now_us"]
    assert msgspec.json.encode(region.state) == expected


def test_after_a_restart_the_fleet_is_asked_again_and_the_clock_is_where_it_was(toy, tmp_path):
    with made(tmp_path, SlowFleet()) as controller:
        controller.advance(86_400)
        instance = start(controller)
        ended_us = controller.clock.now_us()
    fleet = SlowFleet()
    with made(tmp_path, fleet) as controller:
        assert fleet.adopted == [instance]
        assert [(type(action), action.instance_id) for action in fleet.asked] == [(Launch, instance)]
        assert controller.clock.now_us() >= ended_us
        assert controller.clock.offset_us / SECOND_US == pytest.approx(86_400, abs=1)


def test_instances_that_were_being_ended_are_ended_after_a_restart(toy, tmp_path):
    with made(tmp_path, SlowFleet()) as controller:
        instance = start(controller)
        controller._region.state.instances[instance].state = "shutting-down"
        controller._journal.begin(Snapshot(0, controller._region.state))
    fleet = SlowFleet()
    with made(tmp_path, fleet):
        assert fleet.asked == [Terminate(instance)]


def test_one_process_at_a_time_has_a_journal(tmp_path):
    with Journal(tmp_path), pytest.raises(RecordError, match="in use"):
        Journal(tmp_path)


def test_a_line_of_another_version_is_named(tmp_path):
    with Journal(tmp_path) as journal:
        revive(journal, new)
        journal.add(Called(1, "s", "o", {}))
    [path] = tmp_path.glob("journal-*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"type":"nonsense"}\n')
    with Journal(tmp_path) as journal, pytest.raises(RecordError, match=rf"{path.name}:2: not a line of this version"):
        list(journal.entries())


def test_a_journal_that_cannot_be_written_refuses_what_follows(tmp_path, monkeypatch):
    """Half a line is taken back, and nothing is written after the gap."""
    with Journal(tmp_path) as journal:
        revive(journal, new)
        journal.add(Called(1, "s", "o", {}))
        [path] = tmp_path.glob("journal-*.jsonl")
        before = path.read_bytes()
        real = os.write
        calls = []

        def full(file, data):
            calls.append(data)
            if len(calls) == 1:
                return real(file, data[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.write", full)
        with pytest.raises(RecordError, match="No space left"):
            journal.add(Called(2, "s", "o", {}))
        monkeypatch.undo()
        with pytest.raises(RecordError, match="No space left"):
            journal.add(Called(3, "s", "o", {}))
        assert path.read_bytes() == before


def test_the_clock_runs_holds_and_never_goes_back():
    system_us, elapsed_us = [1_000], [50]
    clock = Clock(offset_us=100, system_us=lambda: system_us[0], elapsed_us=lambda: elapsed_us[0])
    assert clock.now_us() == 1_100
    elapsed_us[0] += 10
    system_us[0] = 0
    assert clock.now_us() == 1_110, "the system's time being set back is not seen"
    with clock.hold():
        elapsed_us[0] += 500
        assert clock.now_us() == 1_110
        clock.forward_to(5_000)
        clock.forward_to(2_000)
        assert clock.now_us() == 5_000
        assert clock.wait_s(1_005_000) == 1.0
    elapsed_us[0] += 7
    assert clock.now_us() == 5_007
    clock.forward_to(4_000)
    assert clock.now_us() == 5_007
