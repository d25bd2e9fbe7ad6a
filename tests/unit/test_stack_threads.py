"""What threads ran and waited for: where the kernel tells it, and what it comes to as processor time wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parity.stack import processor as processor_module
from parity.stack.processor import Processor, Reading, used
from parity.stack.threads import PROC, Thread, control_group, held_back_s, threads

ID = "5d42d3298fb6fbd83e17e9bff3e13fe34aec90d01ec65e1d73885c4ac70617ab"


def told(
    *lived: tuple[float, float],
    passed_s: float = 1.0,
    cpus: float = 0.2,
    throttled_s: float = 0.0,
    unseen_s: float = 0.0,
) -> float:
    """The metric of a container whose threads ran and waited so long, and besides a process that came and went."""
    before = {number: Thread(10.0, 20.0) for number in range(len(lived))}
    after = {number: Thread(10.0 + ran_s, 20.0 + waited_s) for number, (ran_s, waited_s) in enumerate(lived)}
    cpu_s = unseen_s + sum(ran_s for ran_s, _ in lived)
    given: dict[str, Any] = {"cpus": cpus, "received_bytes": 0, "sent_bytes": 0}
    return round(
        used(
            Reading(at_s=100.0, cpu_s=5.0, throttled_s=3.0, threads=before, **given),
            Reading(at_s=100.0 + passed_s, cpu_s=5.0 + cpu_s, throttled_s=3.0 + throttled_s, threads=after, **given),
        )["CPUUtilization"],
        1,
    )


class TestTold:
    def test_who_waits_for_nobody_is_told_as_what_it_used(self):
        assert told((0.1, 0.0)) == 50.0

    def test_who_always_has_work_is_at_its_limit_however_little_it_gets(self):
        assert told((0.02, 0.98)) == 100.0
        assert told((0.5, 0.5), cpus=1.0) == 100.0
        assert told((0.0, 1.0)) == 100.0

    def test_threads_wait_side_by_side(self):
        assert told((0.25, 0.75), (0.25, 0.75), cpus=4.0) == 50.0
        assert told((0.25, 0.75), (0.25, 0.75), cpus=2.0) == 100.0

    def test_it_is_the_limit_at_most(self):
        assert told((0.2, 0.8), (0.0, 1.0), (0.0, 1.0)) == 100.0
        # The end of a wait that began long before.
        assert told((0.01, 5.0)) == 100.0
        # However long: one thread takes one processor.
        assert told((0.01, 5.0), cpus=4.0) == 25.0

    def test_who_sleeps_wants_nothing(self):
        assert told((0.0, 0.0)) == 0.0
        # It wakes up for a moment now and then, and each moment has to wait.
        assert told((0.001, 0.3)) < 1.0

    def test_what_its_quota_made_it_wait_is_no_others_fault(self):
        # A tenth of a second of work takes half a second with a fifth of a processor, then it sleeps.
        assert told((0.1, 0.4), throttled_s=0.4) == 50.0
        # A quota that is less than the limit, as a fault sets it.
        assert told((0.05, 0.95), cpus=2.0, throttled_s=0.95) == 2.5

    def test_nor_what_its_quota_would_have_made_it_wait(self):
        # The others had the processor while it would have been throttled.
        assert told((0.1, 0.4), throttled_s=0.1) == 50.0
        # And longer: of the 0.8 s that it was at work it lost 0.3.
        assert told((0.1, 0.7), throttled_s=0.0) == round(100 * 0.1 / 0.7 / 0.2, 1)

    def test_what_came_and_went_is_told_as_what_it_used(self):
        assert told((0.0, 0.0), unseen_s=0.1) == 50.0

    def test_a_thread_that_began_in_between_counts_from_its_beginning(self):
        assert held_back_s({}, {7: Thread(0.5, 0.5)}, passed_s=1, throttled_s=0, quota_s=0) == 0.5

    def test_one_that_has_the_number_of_another_which_is_gone_tells_nothing(self):
        assert held_back_s({7: Thread(9, 9)}, {7: Thread(0.1, 0.1)}, passed_s=1, throttled_s=0, quota_s=0) == 0

    @pytest.mark.parametrize("known", [(None, {}), ({}, None), (None, None)])
    def test_where_the_kernel_cannot_be_asked_it_is_what_was_used(self, known: tuple[Any, Any]):
        """What its threads waited in all their lives must not count as waited since."""
        waited: list[Mapping[int, Thread] | None] = [None if one is None else {1: Thread(0.1, 50.0)} for one in known]
        before, after = (
            Reading(at_s=at_s, cpu_s=at_s / 10, cpus=0.2, received_bytes=0, sent_bytes=0, threads=one)
            for at_s, one in zip((1.0, 2.0), waited, strict=True)
        )
        assert round(used(before, after)["CPUUtilization"], 1) == 50.0


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


class TestControlGroup:
    def found(self, root: Path, lines: str, folder: str) -> str | None:
        tree(root, {"proc/77/cgroup": lines, f"groups/{folder}/tasks": ""})
        found = control_group(ID, 77, proc=root / "proc", groups=root / "groups")
        return None if found is None else str(found.relative_to(root / "groups"))

    @pytest.mark.parametrize(
        ("lines", "folder"),
        [
            (f"0::/system.slice/docker-{ID}.scope\n", f"system.slice/docker-{ID}.scope"),
            (f"3:cpuset:/docker/{ID}\n1:cpu:/docker/{ID}\n0::/docker/{ID}\n", f"cpu/docker/{ID}"),
            (f"4:cpu,cpuacct:/system.slice/docker-{ID}.scope\n0::/x\n", f"cpu/system.slice/docker-{ID}.scope"),
        ],
        ids=["version 2", "version 1", "version 1 under systemd"],
    )
    def test_it_is_found_by_either_version(self, tmp_path, lines, folder):
        assert self.found(tmp_path, lines, folder) == folder

    def test_a_process_of_that_number_which_is_not_the_containers(self, tmp_path):
        """The engine is on another machine, or in a virtual one."""
        assert self.found(tmp_path, "0::/user.slice/session-1.scope\n", "user.slice/session-1.scope") is None

    def test_no_process_of_that_number(self, tmp_path):
        assert control_group(ID, 77, proc=tmp_path, groups=tmp_path) is None

    def test_a_control_group_that_cannot_be_seen_from_here(self, tmp_path):
        assert self.found(tmp_path, f"0::/../{ID}\n", "elsewhere") is None


class TestThreads:
    @pytest.mark.parametrize("name", ["tasks", "cgroup.threads"])
    def test_they_are_those_of_the_group_and_of_groups_in_it(self, tmp_path, name):
        tree(tmp_path, {f"group/{name}": "7\n8\n", f"group/within/{name}": "9\n", "proc/9/schedstat": "0 5 1\n"})
        # The eighth is gone by now.
        tree(tmp_path, {"proc/7/schedstat": "1500000000 250000000 12\n"})
        found = threads(tmp_path / "group", proc=tmp_path / "proc")
        assert found == {7: Thread(1.5, 0.25), 9: Thread(0.0, 5e-9)}

    def test_a_group_that_is_gone_has_none(self, tmp_path):
        assert threads(tmp_path / "gone", proc=tmp_path) == {}

    @pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel tells nothing of threads")
    def test_the_kernel_tells_them_by_their_numbers(self, tmp_path):
        """Of a thread of ours: what it ran is what it says itself."""
        ran: list[float] = []
        burnt, looked = threading.Event(), threading.Event()

        def burn() -> None:
            while time.thread_time() < 0.05:
                pass
            ran.append(time.thread_time())
            burnt.set()
            assert looked.wait(60)

        burner = threading.Thread(target=burn)
        burner.start()
        try:
            assert burnt.wait(60)
            tree(tmp_path, {"tasks": f"{burner.native_id}\n"})
            (found,) = threads(tmp_path, proc=PROC).values()
        finally:
            looked.set()
            burner.join()
        assert ran[0] <= found.ran_s + 0.02
        assert found.ran_s < ran[0] + 0.05


class TestInstances:
    def test_their_threads_are_read_with_what_the_engine_tells(self, tmp_path, monkeypatch):
        moment = {"s": 0, "waited_ns": 0}
        inspected: list[str] = []

        def inspect_container(name: str) -> dict[str, Any]:
            inspected.append(name)
            return {"Id": ID, "State": {"Pid": 77}}

        def stats(name: str, **_: Any) -> dict[str, Any]:
            usage = {"total_usage": moment["s"] * 20_000_000}
            throttled = {"throttled_time": moment["s"] * 100_000_000}
            told = {"cpu_usage": usage, "online_cpus": 2, "throttling_data": throttled}
            return {"read": f"2026-11-25T18:07:{moment['s']:02}.000000000Z", "cpu_stats": told}

        tree(tmp_path, {"proc/77/cgroup": f"0::/docker/{ID}\n", f"groups/docker/{ID}/cgroup.threads": "77\n"})
        api = SimpleNamespace(inspect_container=inspect_container, stats=stats)
        monkeypatch.setattr(processor_module, "engine", lambda: SimpleNamespace(api=api))
        monkeypatch.setattr(
            processor_module,
            "control_group",
            lambda one, pid: control_group(one, pid, proc=tmp_path / "proc", groups=tmp_path / "groups"),
        )
        monkeypatch.setattr(processor_module, "threads", lambda group: threads(group, proc=tmp_path / "proc"))
        processor = Processor(lambda instance_id: f"of-{instance_id}", cpus=0.2)
        points = []
        for _ in range(2):
            moment["s"] += 1
            tree(tmp_path, {"proc/77/schedstat": f"{moment['s'] * 20_000_000} {moment['s'] * 780_000_000} 1\n"})
            points += [one.total for one in processor.measure(["i-1"]) if one.name == "CPUUtilization"]
        # Of 0.8 s at work it was throttled for 0.1, and lost 0.68 of the others: it had 0.02 of 0.32.
        assert [round(point, 2) for point in points] == [round(100 * 0.02 / 0.32 / 0.2, 2)]
        assert inspected == ["of-i-1"]
