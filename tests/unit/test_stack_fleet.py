"""What instances as containers rest on, without an engine: lanes, boot, addresses, health checks, numbers."""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import docker.errors
import pytest

from parity.errors import EngineError, StackError
from parity.stack import attendant, boot, compose, owner, reaper
from parity.stack.description import GroupSection
from parity.stack.instances import _link, seen
from parity.stack.lanes import Lanes


class TestLanes:
    def test_a_lane_keeps_its_order_while_others_go_on(self):
        lanes, done, gate, over = Lanes(quick=2), [], threading.Event(), threading.Event()
        lanes.put("a", lambda: (gate.wait(5), done.append("a1")), what="launch")
        lanes.put("a", lambda: (done.append("a2"), over.set()), what="launch")
        lanes.put("b", lambda: (done.append("b"), gate.set()))
        assert over.wait(5)
        assert done == ["b", "a1", "a2"]
        lanes.close()

    def test_what_counts_is_under_way_until_it_is_done(self):
        lanes, gate = Lanes(), threading.Event()
        lanes.put("a", lambda: gate.wait(5), what="launch")
        lanes.put("a", lambda: None, what="termination", patient=True)
        lanes.put("b", lambda: gate.wait(5))
        assert lanes.under_way() == {"launch": 1, "termination": 1}
        gate.set()
        ended = threading.Event()
        lanes.put("a", ended.set)
        assert ended.wait(5)
        assert lanes.under_way() == {}
        lanes.close()

    def test_what_waits_takes_no_room_from_what_works(self):
        lanes, gate, worked = Lanes(quick=1, patient=2), threading.Event(), threading.Event()
        for lane in "abc":
            lanes.put(lane, lambda: gate.wait(5), patient=True)
        lanes.put("d", worked.set)
        assert worked.wait(5)
        gate.set()
        lanes.close()

    def test_closing_drops_what_was_not_begun_and_waits_for_what_was(self):
        lanes, begun, gate, done = Lanes(quick=1), threading.Event(), threading.Event(), []
        lanes.put("a", lambda: (begun.set(), gate.wait(5), done.append("a1")))
        lanes.put("a", lambda: done.append("a2"))
        assert begun.wait(5)
        closing = threading.Thread(target=lanes.close)
        closing.start()
        gate.set()
        closing.join(5)
        lanes.put("b", lambda: done.append("b"))
        assert done == ["a1"]


def coded(script: bytes) -> str:
    return base64.b64encode(script).decode()


class TestBoot:
    def test_a_script_is_run_as_it_is(self):
        assert boot.script_of(coded(b"#!/usr/bin/python3\nprint()\n")) == b"#!/usr/bin/python3\nprint()\n"

    def test_a_compressed_one_too(self):
        assert boot.script_of(coded(gzip.compress(b"#!/bin/sh\n:\n"))) == b"#!/bin/sh\n:\n"

    @pytest.mark.parametrize("user_data", [coded(b"#cloud-config\n"), coded(b""), coded(b"\x1f\x8bnothing"), "?"])
    def test_anything_else_is_a_script_that_says_so(self, user_data):
        done = subprocess.run(["sh"], input=boot.script_of(user_data), capture_output=True, check=True)
        assert b"not run" in done.stderr

    @pytest.mark.parametrize(
        ("service", "runs"),
        [
            ({}, ["/entry", "serve"]),
            ({"command": "work -v"}, ["/entry", "work", "-v"]),
            ({"entrypoint": ["/mine"]}, ["/mine"]),
            ({"entrypoint": "/mine", "command": ["a b", "$$x"]}, ["/mine", "a b", "$x"]),
        ],
    )
    def test_a_service_runs_what_it_states_and_what_it_leaves_to_its_image(self, service, runs):
        image = SimpleNamespace(attrs={"Config": {"Entrypoint": ["/entry"], "Cmd": ["serve"]}})
        assert boot.argv(service, image) == runs

    def test_an_image_that_states_nothing(self):
        image = SimpleNamespace(attrs={"Config": {"Entrypoint": None, "Cmd": None}})
        assert boot.argv({"command": "work"}, image) == ["work"]


class TestCompose:
    def test_a_health_check_is_in_nanoseconds(self):
        stated = {"test": "curl -f localhost", "interval": "1m30s", "timeout": "500ms", "retries": 3}
        assert compose.healthcheck({"healthcheck": stated}) == {
            "test": ["CMD-SHELL", "curl -f localhost"],
            "interval": 90_000_000_000,
            "timeout": 500_000_000,
            "retries": 3,
        }

    def test_none_and_one_that_is_switched_off(self):
        assert compose.healthcheck({}) == {}
        assert compose.healthcheck({"healthcheck": {"disable": True, "test": ["CMD", "x"]}}) == {"test": ["NONE"]}

    @pytest.mark.parametrize(
        ("service", "cpus"),
        [({}, 0), ({"cpus": 0.5}, 0.5), ({"deploy": {"resources": {"limits": {"cpus": "0.25"}}}}, 0.25)],
    )
    def test_how_many_processors(self, service, cpus):
        assert compose.cpus(service) == cpus


def attributes(**state: object) -> dict:
    stated = {"Status": "running", "Running": True, "Paused": False, "ExitCode": 0, "Error": "", "OOMKilled": False}
    networks = {"zone": {"IPAddress": "172.20.0.9"}}
    return {"State": stated | state, "Image": "sha256:1", "NetworkSettings": {"Networks": networks}}


class TestInstances:
    def test_addresses_are_all_different_and_none_is_a_service_of_ec2s(self):
        links = [_link(number) for number in range(250 * 250)]
        assert len(set(links)) == len(links)
        thirds = {int(link.split(".")[2]) for link in links}
        assert thirds == set(range(1, 255)) - {168, 169, 170, 171}
        assert {int(link.split(".")[3]) for link in links} <= set(range(2, 252))

    def test_one_that_runs(self):
        found = seen(attributes())
        assert (found.running, found.well, found.address) == (True, True, "172.20.0.9")

    @pytest.mark.parametrize("state", [{"Paused": True}, {"Health": {"Status": "unhealthy"}}])
    def test_one_that_hangs(self, state):
        assert not seen(attributes(**state)).well
        assert seen(attributes(Health={"Status": "starting"})).well

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            ({"ExitCode": 3}, "exit code 3"),
            ({"ExitCode": 137, "OOMKilled": True}, "exit code 137: out of memory"),
            ({"Status": "created"}, "it was never started"),
        ],
    )
    def test_one_that_does_not_run(self, state, reason):
        found = seen(attributes(**({"Running": False, "Status": "exited"} | state)))
        assert (found.running, found.reason) == (False, reason)


class TestGroup:
    @pytest.mark.parametrize(
        ("stated", "count", "sizes"),
        [
            ({}, 3, (1, 3, 10)),
            ({}, 0, (0, 0, 10)),
            ({}, 7, (1, 7, 21)),
            ({"max": 2}, 3, (1, 2, 2)),
            ({"min": 5}, 3, (5, 5, 10)),
            ({"desired": 0}, 3, (0, 0, 10)),
            ({"min": 2, "desired": 4, "max": 8}, 3, (2, 4, 8)),
        ],
    )
    def test_what_is_left_out_follows_from_the_workers(self, stated, count, sizes):
        assert GroupSection(**stated).sizes(count) == sizes

    @pytest.mark.parametrize("zones", [["us-east-1"], ["us-east-1a", "eu-west-1a"], ["us-east-1a", "us-east-1a"], []])
    def test_zones_are_different_ones_of_one_region(self, zones):
        with pytest.raises(ValueError, match="zone"):
            GroupSection(zones=zones)


#: Takes the lock, says so, and goes at SIGTERM, or does not.
ATTENDANT = """
import signal, sys
from pathlib import Path
from parity.stack import attendant
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with attendant.attending(Path({folder!r})) as mine:
    print(mine, flush=True)
    if mine:
        signal.pause()
"""


def attend(folder: Path, *, deaf: bool = False) -> subprocess.Popen[str]:
    script = ATTENDANT.format(folder=str(folder), deaf=deaf)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


class TestAttendant:
    def test_there_is_one_at_a_time_and_it_can_be_ended(self, tmp_path):
        first = attend(tmp_path)
        assert first.stdout.readline() == "True\n"
        second = attend(tmp_path)
        assert second.stdout.readline() == "False\n"
        assert second.wait(5) == 0
        assert attendant.end(tmp_path)
        assert first.wait(5) == -15
        assert not attendant.is_attended(tmp_path)
        assert not attendant.end(tmp_path)

    def test_one_that_does_not_listen_is_killed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(attendant, "_LEAVE_S", 0.2)
        deaf = attend(tmp_path, deaf=True)
        assert deaf.stdout.readline() == "True\n"
        assert attendant.end(tmp_path)
        assert deaf.wait(5) == -9

    def test_one_that_cannot_be_ended_is_an_error(self, tmp_path, monkeypatch):
        monkeypatch.setattr(attendant, "_LEAVE_S", 0.1)
        monkeypatch.setattr(attendant, "_GONE_S", 0.1)
        monkeypatch.setattr(os, "kill", lambda *_: None)
        with owner.held(attendant.folder_of(tmp_path) / "lock"), pytest.raises(StackError, match="does not end"):
            attendant.end(tmp_path)


class HeldNetwork:
    """A network that the engine removes at the so many-th try."""

    def __init__(self, tries: int, *, attached: str = "") -> None:
        self.name = "n"
        self.attrs = {"Containers": {"1": {"Name": attached}} if attached else {}}
        self.tries = tries
        self.disconnected: list[str] = []

    def remove(self) -> None:
        self.tries -= 1
        if self.tries > 0:
            raise docker.errors.APIError("network n has active endpoints")

    def reload(self) -> None:
        pass

    def disconnect(self, name: str, *, force: bool) -> None:
        assert force
        self.disconnected.append(name)


class TestNetworks:
    def test_one_that_something_is_on_is_removed_without_it(self):
        network = HeldNetwork(2, attached="c")
        assert reaper._remove_network(network, within_s=5)
        assert network.disconnected == ["c"]

    def test_one_that_the_engine_holds_for_good_is_given_up(self):
        assert not reaper._remove_network(HeldNetwork(1000), within_s=0)

    def test_any_other_refusal_is_an_error(self, monkeypatch):
        network = HeldNetwork(1)
        monkeypatch.setattr(network, "remove", lambda: raise_error(docker.errors.APIError("out of order")))
        with pytest.raises(EngineError, match="cannot be removed"):
            reaper._remove_network(network, within_s=5)


def raise_error(error: Exception) -> None:
    raise error
