"""How long a container's threads ran and how long they waited for a processor, by the kernel that runs them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Where a kernel tells of threads and of control groups.
PROC = Path("/proc")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Thread:
    """What the scheduler counted of a thread since it began.

    Args:
        ran_s: How long it was on a processor.
        waited_s: How long it could have run and was on none: because others were, or because its container's quota was
            used up.
    """

    ran_s: float = 0.0
    waited_s: float = 0.0


def control_group(container: str, pid: int, *, proc: Path = PROC, groups: Path = CONTROL_GROUPS) -> Path | None:
    """Where the kernel lists a container's threads; None where its processes run on another machine than we do.

    Args:
        container: Its full id. That is in its control group's name, whatever engine and driver made it: what has the
            process's number here is the container's process only if it is there.
        pid: The number of its first process, as the engine tells it.
        proc: Where the kernel tells of threads.
        groups: Where it tells of control groups.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # The second version of control groups is one tree for all controllers, and names none.
        tree = "" if not controllers else "cpu" if "cpu" in controllers.split(",") else None
        if tree is not None and container in path and (folder := groups / tree / path.lstrip("/")).is_dir():
            return folder
    return None


def threads(group: Path, *, proc: Path = PROC) -> dict[int, Thread]:
    """The threads of a control group and of those within it that live now, by their numbers.

    Args:
        group: What `control_group` found.
        proc: Where the kernel tells of threads.
    """
    numbers: list[str] = []
    # The first version of control groups names the list differently.
    for name in ("cgroup.threads", "tasks"):
        for listing in group.rglob(name):
            # A control group may go while it is looked at, and one of the second version may refuse to list threads.
            with contextlib.suppress(OSError):
                numbers += listing.read_text().split()
    found: dict[int, Thread] = {}
    for number in numbers:
        # So may a thread.
        with contextlib.suppress(OSError, ValueError):
            ran_ns, waited_ns, _ = (proc / number / "schedstat").read_text().split()
            found[int(number)] = Thread(int(ran_ns) / 1e9, int(waited_ns) / 1e9)
    return found


def held_back_s(
    before: Mapping[int, Thread],
    after: Mapping[int, Thread],
    *,
    passed_s: float,
    throttled_s: float,
    quota_s: float,
) -> float:
    """How much longer threads would have run, had nobody else been on the processors.

    What a thread lost is the time that it waited, without what its own container's quota made it wait or would have.
    It is taken to have wanted as much of that as it ran of the time that it did not lose. One that always has work
    wanted all of it. One that sleeps, and wakes up for a moment now and then, wanted next to nothing, however long each
    moment had to wait.

    Args:
        before: The threads at first.
        after: Those that live in the end. What ended in between tells nothing any more.
        passed_s: How much time passed in between.
        throttled_s: How long of that the container's quota was used up. The kernel tells no such time of a thread.
        quota_s: How long the container takes at least for what it used: who uses a tenth of a second, and may use a
            fifth of a processor, is through in half a second, and loses nothing if others run meanwhile.
    """
    held_s = 0.0
    for number, now in after.items():
        then = before.get(number, Thread())
        ran_s = max(0.0, now.ran_s - then.ran_s)
        waited_s = now.waited_s - then.waited_s
        # The kernel counts a wait when it ends: it may have begun before the time that we look at.
        lost_s = min(waited_s - throttled_s, ran_s + waited_s - quota_s, passed_s - ran_s)
        if lost_s > 0:
            held_s += lost_s * (ran_s / (passed_s - lost_s) if lost_s < passed_s else 1.0)
    return held_s
