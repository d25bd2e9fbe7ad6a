"""Instances as containers: what a region asks is carried out, and what becomes of a container is told."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from parity.model.scaling.ec2.images import image_id_of, tag_of
from parity.model.scaling.state import Instance
from parity.model.scaling.world import (
    Checked,
    CreateImage,
    ImageMade,
    Input,
    Launch,
    LaunchFailed,
    Removed,
    RemoveImage,
    Running,
    Start,
    Stop,
    Stopped,
    Terminate,
)
from parity.stack import owner
from parity.stack.amis import Amis
from parity.stack.engine import engine, wait_for
from parity.stack.fleet import Fleet
from parity.stack.images import ensure_images
from parity.stack.instances import LABEL_INSTANCE, Instances, Making
from parity.stack.processor import Processor
from parity.stack.reaper import remove_stack
from parity.stack.threads import control_group, threads

pytestmark = pytest.mark.docker
SHIPPED = Path(__file__).parents[2] / "compose" / "images"
_T = TypeVar("_T")
#: Says that it works, and goes when it is asked to.
WORKER = ["sh", "-c", "trap 'echo asked to go; exit 0' TERM; echo at work; while :; do sleep 0.1; done"]


class Told:
    """What a fleet told, in order."""

    def __init__(self) -> None:
        self.facts: list[Input] = []
        self._changed = threading.Condition()

    def __call__(self, fact: Input) -> None:
        with self._changed:
            self.facts.append(fact)
            self._changed.notify_all()

    def wait_for(self, kind: type[_T], instance_id: str = "", *, within_s: float = 20) -> _T:
        """The first fact of a kind about an instance; it counts as seen."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while True:
                for index, fact in enumerate(self.facts):
                    if isinstance(fact, kind) and instance_id in {"", getattr(fact, "instance_id", "")}:
                        return self.facts.pop(index)  # type: ignore[return-value]
                assert self._changed.wait(deadline - time.monotonic()), f"no {kind.__name__}: {self.facts}"


class Site:
    """A stack of nothing but a network, and fleets on it."""

    def __init__(self, folder: Path) -> None:
        self.id = secrets.token_hex(4)
        self.labels = {
            owner.LABEL_STACK: self.id,
            owner.LABEL_HOST: owner.host_name(),
            owner.LABEL_LOCK: str(folder.parent / "lock"),
            owner.LABEL_KEPT: "0",
        }
        self.folder = folder
        (self.image,) = ensure_images(["parity/tools"], folder=SHIPPED, progress=print).values()
        self.network = engine().networks.create(f"parity-{self.id}_zone-a", labels=self.labels)
        self.fleets: list[Fleet] = []

    def fleet(self, told: Told, *, known: dict[str, Instance] | None = None, **service: Any) -> Fleet:
        making = Making(
            name="worker",
            service={"image": self.image, "command": WORKER, "stop_grace_period": "5s"} | service,
            networks={"zone-a": self.network.name},
            environment={"NUMBER": "{instance}"},
            project=f"parity-{self.id}",
            folder=self.folder,
            labels=self.labels,
        )
        fleet = Fleet(
            Instances(making),
            Amis(self.id, id_of=image_id_of, tag_of=tag_of),
            tell=told,
            check_of=lambda _: None,
            say=print,
        )
        fleet.adopt(known or {})
        self.fleets.append(fleet)
        return fleet

    def launch(self, instance_id: str = "", **given: Any) -> Launch:
        return Launch(
            instance_id or f"i-{secrets.token_hex(8)}0",
            **({"image_id": image_id_of(self.image), "zone": "zone-a", "group": "g"} | given),
        )

    def container(self, instance_id: str) -> Any:
        return engine().containers.get(f"parity-{self.id}-{instance_id}")

    def names(self) -> set[str]:
        chosen = {"label": [f"{owner.LABEL_STACK}={self.id}", LABEL_INSTANCE]}
        return {c.labels[LABEL_INSTANCE] for c in engine().containers.list(all=True, filters=chosen)}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    # Held before there is anything: another parity removes what nobody owns.
    with owner.held(tmp_path / "lock"):
        site = Site(tmp_path / "instances")
        try:
            yield site
        finally:
            for fleet in site.fleets:
                fleet.close()
            remove_stack(site.id, folder=tmp_path / "gone")


def wait_for_log(container: Any, line: str) -> str:
    def look() -> tuple[str | None, str]:
        text = container.logs().decode()
        return (text if line in text else None), text

    return wait_for(f"the line {line!r}", look, within_s=10, every_s=0.05)


def until_idle(fleet: Fleet) -> None:
    wait_for("an idle fleet", lambda: (None if fleet.busy() else True, fleet.under_way()), within_s=10, every_s=0.02)


def known(*instances: tuple[str, str]) -> dict[str, Instance]:
    return {
        instance_id: Instance(instance_id, "ami-1", "t3.micro", "zone-a", "subnet-1", 0, state=state)
        for instance_id, state in instances
    }


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel tells nothing of threads")
class TestProcessorTime:
    """The kernel that runs the containers is asked what they waited for others, however busy the machine is."""

    def until(self, site: Site, command: str, is_told: Callable[[float], bool]) -> None:
        """Wait until the instance that runs a command is told as it should be."""
        told, launch = Told(), site.launch()
        site.fleet(told, cpus="0.1", command=["sh", "-c", command]).apply([launch])
        told.wait_for(Running, launch.instance_id)
        container = site.container(launch.instance_id)
        pid = container.attrs["State"]["Pid"]
        group = control_group(container.id, pid)
        assert group is not None
        assert pid in threads(group)
        processor = Processor(lambda _: container.id, cpus=0.1)
        processor.notice([launch.instance_id])

        def look() -> tuple[bool | None, str]:
            points = [
                point.total for point in processor.measure([launch.instance_id]) if point.name == "CPUUtilization"
            ]
            return (True if points and is_told(points[0]) else None), f"CPUUtilization {points}"

        wait_for("the processor time that the instance wants", look, within_s=20, every_s=1)

    def test_who_always_has_work_is_at_the_limit(self, site: Site):
        self.until(site, "while :; do :; done", lambda percent: percent > 90)

    def test_who_sleeps_is_idle(self, site: Site):
        self.until(site, "trap exit TERM; sleep 600 & wait", lambda percent: percent < 5)


class TestActions:
    def test_a_launch_runs_and_a_termination_lets_it_finish(self, site: Site):
        told = Told()
        fleet = site.fleet(told)
        launch = site.launch()
        fleet.apply([launch])
        assert fleet.busy()
        running = told.wait_for(Running, launch.instance_id)
        container = site.container(launch.instance_id)
        network = container.attrs["NetworkSettings"]["Networks"][site.network.name]
        assert running.private_ip == network["IPAddress"]
        assert running.image_digest == container.attrs["Image"]
        assert fleet.running() == [launch.instance_id]
        wait_for_log(container, "at work")
        output = container.logs(stream=True, follow=True)
        fleet.apply([Terminate(launch.instance_id)])
        told.wait_for(Removed, launch.instance_id)
        assert b"asked to go" in b"".join(output)
        assert site.names() == set()
        # Its death was asked for: it is not told a second time.
        fleet.apply([again := site.launch()])
        told.wait_for(Running, again.instance_id)
        assert told.facts == []

    def test_a_launch_that_is_asked_for_twice_happens_once(self, site: Site):
        told, launch = Told(), site.launch()
        site.fleet(told).apply([launch, launch])
        first, second = told.wait_for(Running), told.wait_for(Running)
        assert first == second
        assert len(site.names()) == 1

    def test_an_image_that_is_not_there(self, site: Site):
        told, launch = Told(), site.launch(image_id="ami-0123456789abcdef0")
        site.fleet(told).apply([launch])
        failed = told.wait_for(LaunchFailed, launch.instance_id)
        assert failed.code == "InvalidAMIID.NotFound"
        assert failed.message == "The image id '[ami-0123456789abcdef0]' does not exist"

    def test_a_launch_that_the_engine_refuses_leaves_nothing(self, site: Site):
        told, launch = Told(), site.launch()
        fleet = site.fleet(told, volumes=["/no/such/folder:/data"])
        fleet.apply([launch])
        failed = told.wait_for(LaunchFailed, launch.instance_id)
        assert failed.code == "Server.InternalError"
        assert "/no/such/folder" in failed.message
        assert site.names() == set()

    def test_stopped_instances_stay_and_start_again(self, site: Site):
        told, launch = Told(), site.launch()
        fleet = site.fleet(told)
        fleet.apply([launch])
        told.wait_for(Running, launch.instance_id)
        # Before it says so it does not know what it is asked.
        wait_for_log(site.container(launch.instance_id), "at work")
        fleet.apply([Stop(launch.instance_id), Start(launch.instance_id)])
        assert told.wait_for(Stopped, launch.instance_id).reason == ""
        told.wait_for(Running, launch.instance_id)
        assert wait_for_log(site.container(launch.instance_id), "at work").count("asked to go") == 1
        assert told.facts == []

    def test_an_image_of_an_instance_starts_others(self, site: Site):
        told, launch = Told(), site.launch(user_data=base64.b64encode(b"#!/bin/sh\necho baked > /baked\n").decode())
        fleet = site.fleet(told)
        fleet.apply([launch])
        told.wait_for(Running)
        wait_for_log(site.container(launch.instance_id), "at work")
        image_id = f"ami-{secrets.token_hex(8)}0"
        fleet.apply([CreateImage(image_id, launch.instance_id, "golden")])
        made = told.wait_for(ImageMade)
        assert made.tag == tag_of(image_id)
        other = site.launch(image_id=image_id)
        fleet.apply([other])
        assert told.wait_for(Running, other.instance_id).image_digest == made.digest
        assert site.container(other.instance_id).exec_run(["cat", "/baked"]).output == b"baked\n"
        # Whoever starts something from the image by hand has nothing to do with this stack.
        assert set(engine().images.get(made.tag).labels.values()) >= {""}
        assert engine().images.get(made.tag).labels[owner.LABEL_STACK] == ""
        fleet.apply([RemoveImage(image_id)])
        until_idle(fleet)
        fleet.apply([late := site.launch(image_id=image_id)])
        assert told.wait_for(LaunchFailed, late.instance_id).code == "InvalidAMIID.NotFound"


class TestUserData:
    def test_it_runs_before_the_command_and_once(self, site: Site):
        script = b'#!/bin/sh\necho "user data of $(hostname)"\n'
        told, launch = Told(), site.launch(user_data=base64.b64encode(script).decode())
        fleet = site.fleet(told)
        fleet.apply([launch])
        told.wait_for(Running)
        wait_for_log(site.container(launch.instance_id), "at work")
        fleet.apply([Stop(launch.instance_id), Start(launch.instance_id)])
        told.wait_for(Stopped), told.wait_for(Running)
        log = wait_for_log(site.container(launch.instance_id), "asked to go\nat work")
        assert log.startswith(f"user data of {launch.instance_id}\nat work\n")
        assert log.count("user data of") == 1

    def test_a_failure_is_in_the_log_and_does_not_end_the_boot(self, site: Site):
        told, launch = Told(), site.launch(user_data=base64.b64encode(b"#!/bin/sh\nexit 7\n").decode())
        site.fleet(told).apply([launch])
        told.wait_for(Running)
        log = wait_for_log(site.container(launch.instance_id), "at work")
        assert "user data failed with exit code 7; the boot goes on\n" in log

    def test_what_is_no_script_is_not_run(self, site: Site):
        told, launch = Told(), site.launch(user_data=base64.b64encode(b"#cloud-config\n").decode())
        site.fleet(told).apply([launch])
        told.wait_for(Running)
        assert "not run" in wait_for_log(site.container(launch.instance_id), "at work")

    def test_an_instance_can_be_terminated_while_it_boots(self, site: Site):
        told, launch = Told(), site.launch(user_data=base64.b64encode(b"#!/bin/sh\nsleep 60\n").decode())
        fleet = site.fleet(told, stop_grace_period="30s")
        fleet.apply([launch])
        told.wait_for(Running)
        fleet.apply([Terminate(launch.instance_id)])
        told.wait_for(Removed, within_s=15)


class TestWatching:
    def test_a_container_that_dies_is_a_stopped_instance(self, site: Site):
        told, launch = Told(), site.launch()
        site.fleet(told).apply([launch])
        told.wait_for(Running)
        site.container(launch.instance_id).kill()
        assert told.wait_for(Stopped, launch.instance_id).reason == "exit code 137"

    def test_a_container_that_is_removed_from_outside(self, site: Site):
        told, launch = Told(), site.launch()
        site.fleet(told).apply([launch])
        told.wait_for(Running)
        site.container(launch.instance_id).remove(force=True)
        assert told.wait_for(Removed, launch.instance_id).reason == "its container was removed"

    def test_a_paused_container_hangs(self, site: Site):
        told, launch = Told(), site.launch()
        fleet = site.fleet(told)
        fleet.apply([launch])
        told.wait_for(Running)
        site.container(launch.instance_id).pause()
        assert told.wait_for(Checked) == Checked(launch.instance_id, healthy=False)
        site.container(launch.instance_id).unpause()
        assert told.wait_for(Checked) == Checked(launch.instance_id, healthy=True)
        site.container(launch.instance_id).pause()
        told.wait_for(Checked)
        fleet.apply([Terminate(launch.instance_id)])
        told.wait_for(Removed)

    def test_the_services_own_health_check_is_asked(self, site: Site):
        told, launch = Told(), site.launch()
        check = {"test": "test ! -e /sick", "interval": "0.3s", "timeout": "5s", "retries": 2}
        site.fleet(told, healthcheck=check).apply([launch])
        told.wait_for(Running)
        site.container(launch.instance_id).exec_run(["touch", "/sick"])
        assert told.wait_for(Checked) == Checked(launch.instance_id, healthy=False)


class TestAdoption:
    def test_after_a_restart_everything_is_where_it_should_be(self, site: Site):
        """Running ones are known again, dead ones told; strangers go; what was pending is launched once."""
        told = Told()
        before = site.fleet(told)
        kept, died, gone, stranger, pending = (site.launch() for _ in range(5))
        before.apply([kept, died, gone, stranger, pending])
        for _ in range(5):
            told.wait_for(Running)
        before.close()
        site.container(died.instance_id).kill()
        site.container(gone.instance_id).remove(force=True)
        started = site.container(pending.instance_id).attrs["State"]["StartedAt"]
        missing = site.launch()

        told = Told()
        after = site.fleet(
            told,
            known=known(
                (kept.instance_id, "running"),
                (died.instance_id, "running"),
                (gone.instance_id, "running"),
                (pending.instance_id, "pending"),
                (missing.instance_id, "pending"),
            ),
        )
        assert told.wait_for(Running, kept.instance_id).private_ip
        assert told.wait_for(Stopped, died.instance_id).reason == "exit code 137"
        told.wait_for(Removed, gone.instance_id)
        after.apply([pending, missing])
        told.wait_for(Running, pending.instance_id)
        told.wait_for(Running, missing.instance_id)
        assert site.container(pending.instance_id).attrs["State"]["StartedAt"] == started
        assert site.names() == {one.instance_id for one in (kept, died, pending, missing)}
        after.apply([Terminate(stranger.instance_id)])
        told.wait_for(Removed, stranger.instance_id)
        site.container(kept.instance_id).kill()
        told.wait_for(Stopped, kept.instance_id)
