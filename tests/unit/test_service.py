"""What the attending process measures and is asked, without a stack."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from parity.errors import EngineError, RecordError, StackError
from parity.model.scaling.world import Measured
from parity.service.backlog import Age, Depth, measured
from parity.service.furnish import Told
from parity.service.meter import Meter
from parity.service.papers import Address, read_address, write_address
from parity.stack import attendant
from parity.stack.processor import Processor, Reading, reading, used

STATS = {
    "read": "2026-11-25T18:07:10.228074154Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}, "online_cpus": 4},
    "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 1}, "eth1": {"rx_bytes": 20, "tx_bytes": 2}},
}


def at(at_s: float, cpu_s: float, *, cpus: float = 2, received: int = 0, sent: int = 0) -> Reading:
    return Reading(at_s=at_s, cpu_s=cpu_s, cpus=cpus, received_bytes=received, sent_bytes=sent)


class TestProcessor:
    def test_a_reading_of_the_engines_statistics(self):
        found = reading(STATS)
        assert found is not None
        assert (found.cpu_s, found.cpus, found.received_bytes, found.sent_bytes) == (2.5, 4, 30, 3)
        assert round(found.at_s % 60, 3) == 10.228
        assert reading(STATS, cpus=0.5).cpus == 0.5

    def test_a_container_that_does_not_run_has_none(self):
        assert reading({"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}) is None

    def test_the_percentage_is_of_what_may_be_used(self):
        after = at(20, 7, received=500, sent=50)
        assert used(at(10, 2), after) == {"CPUUtilization": 25.0, "NetworkIn": 500.0, "NetworkOut": 50.0}

    def test_one_that_started_anew_has_no_datapoint(self):
        assert used(at(10, 5), at(20, 1)) == {}

    def test_each_instance_has_a_datapoint_and_its_group_none(self, monkeypatch):
        """What of it counts for the group, and from when on, is the region's to know."""
        readings = {"i-1": [at(0, 0), at(10, 2)], "i-2": [at(0, 0), at(10, 6)], "i-3": [at(10, 1)]}
        processor = Processor(lambda instance_id: f"parity-x-{instance_id}")
        monkeypatch.setattr(processor, "_read_one", lambda instance_id: readings[instance_id].pop(0))
        processor.notice(["i-1", "i-2"])
        processor.notice(["i-1", "i-2"])
        points = [point for point in processor.measure(["i-1", "i-2", "i-3"]) if point.name == "CPUUtilization"]
        # The third has a first reading only.
        assert points == [
            Measured("AWS/EC2", "CPUUtilization", (("InstanceId", "i-1"),), total=10.0),
            Measured("AWS/EC2", "CPUUtilization", (("InstanceId", "i-2"),), total=30.0),
        ]


class TestBacklog:
    def test_the_oldest_is_the_one_that_was_published_before_those_that_wait(self):
        age = Age()
        assert age.oldest_s(now_s=0, published=10, ready=0) == 0
        assert age.oldest_s(now_s=5, published=30, ready=20) == 5
        # Ten were taken: all that was published until 0 s is gone, what came until 5 s is not.
        assert age.oldest_s(now_s=10, published=40, ready=20) == 10
        # Now all of that is, too.
        assert age.oldest_s(now_s=15, published=50, ready=20) == 10
        assert age.oldest_s(now_s=20, published=50, ready=0) == 0

    def test_a_queue_that_nothing_leaves_grows_old(self):
        age = Age()
        assert [age.oldest_s(now_s=now_s, published=5, ready=5) for now_s in (0, 60, 600)] == [0, 60, 600]

    def test_a_broker_that_counts_anew(self):
        age = Age()
        age.oldest_s(now_s=0, published=100, ready=50)
        assert age.oldest_s(now_s=60, published=3, ready=3) == 0
        assert age.oldest_s(now_s=70, published=3, ready=3) == 10

    def test_datapoints_have_the_queue_as_dimension(self):
        points = measured({"jobs": Depth(ready=3, unacknowledged=2, consumers=1, oldest_s=4.5)})
        assert {point.name: point.total for point in points} == {
            "MessageCount": 5,
            "MessageReadyCount": 3,
            "MessageUnacknowledgedCount": 2,
            "ConsumerCount": 1,
            "OldestMessageAge": 4.5,
        }
        assert {point.dimensions for point in points} == {(("Queue", "jobs"),)}


class TestMeter:
    def test_it_goes_on_when_what_it_measures_is_there_again(self):
        """A broker or an engine that is away for a while: said once, and then there are datapoints again."""
        faults = iter([EngineError("no engine"), StackError("no broker"), StackError("no broker")])
        depth = Depth(ready=1, unacknowledged=0, consumers=1, oldest_s=0)
        points: queue.Queue[Measured] = queue.Queue()
        said: list[str] = []

        class Instances:
            def notice(self, _instances):
                if isinstance(fault := next(faults, None), Exception):
                    raise fault

            def measure(self, _instances):
                return []

        class Queues:
            def look(self, **_when):
                return {"jobs": depth}

        meter = Meter(Instances(), Queues(), instances=list, tell=points.put, period_s=0.01, say=said.append)
        assert meter.depths == {}
        meter.start()
        assert points.get(timeout=20).name == "MessageCount"
        assert meter.depths == {"jobs": depth}
        meter.stop()
        assert said == ["what alarms look at cannot be measured: no engine", "it can be measured again"]


class TestImages:
    def test_a_tag_is_told_once_for_each_thing_it_stands_for(self, tmp_path: Path):
        """One that was deregistered must not come back by itself, whoever restarts."""
        told = Told(tmp_path / "images.json")
        assert told.new_of({"a:1": "x", "a:2": "y"}) == {"a:1": "x", "a:2": "y"}
        assert told.new_of({"a:1": "x", "a:2": "z"}) == {"a:2": "z"}
        assert Told(tmp_path / "images.json").new_of({"a:1": "x", "a:2": "z", "a:3": "w"}) == {"a:3": "w"}


class TestPapers:
    def test_an_address_counts_while_its_process_lives(self, tmp_path: Path):
        address = Address(pid=1, port=4566, url="http://127.0.0.1:4566", region="us-east-1")
        write_address(tmp_path, address)
        assert read_address(tmp_path) is None
        with attendant.attending(tmp_path):
            assert read_address(tmp_path) == address

    def test_one_that_cannot_be_read_is_said(self, tmp_path: Path):
        with attendant.attending(tmp_path):
            (attendant.folder_of(tmp_path) / "address.json").write_text("{")
            with pytest.raises(RecordError, match="cannot be read"):
                read_address(tmp_path)
