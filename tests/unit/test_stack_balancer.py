"""A target group's targets as HAProxy's servers, against something that answers as HAProxy's runtime API does."""

from __future__ import annotations

import socket
import threading

import pytest

from parity.errors import StackError
from parity.model.scaling.world import Deregister, Deregistered, Register, TargetHealth
from parity.stack.balancer import Balancer
from parity.stack.haproxy import Runtime

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"
COLUMNS = [
    *("# pxname", "svname", "scur", "status", "check_status", "addr"),
    *("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", ""),
]


class Haproxy:
    """A runtime API with one backend."""

    def __init__(self):
        self.servers = {}
        self.commands = []
        self.comes_with_the_drain = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.where = self._listening.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                command = connection.makefile().readline().strip()
                self.commands.append(command)
                connection.sendall((self._answer(command) + "\n").encode())

    def close(self):
        self._listening.close()

    def _answer(self, command):
        words = command.split()
        if command == "show stat":
            rows = [["http", "FRONTEND", *[""] * 11], ["targets", "BACKEND", *[""] * 11]]
            rows += [["targets", name, *map(str, server.values()), ""] for name, server in self.servers.items()]
            return "\n".join(",".join(row) for row in [COLUMNS, *rows])
        name = next((word.partition("/")[2] for word in words if "/" in word), "")
        if words[:2] == ["add", "server"]:
            self.servers[name] = server(words[3])
            return "New server registered."
        if name not in self.servers:
            return "No such server."
        if words[:2] == ["del", "server"]:
            del self.servers[name]
            return "Server deleted."
        if words[-2:] == ["state", "drain"]:
            self.servers[name]["status"] = "DRAIN"
            self.servers[name]["scur"] += self.comes_with_the_drain
            self.comes_with_the_drain = 0
        return ""


def server(address, **more):
    state = {"scur": 0, "status": "DOWN", "check": "INI", "addr": address}
    return state | dict.fromkeys(["1xx", "2xx", "3xx", "4xx", "5xx", "other"], 0) | more


class World:
    def __init__(self):
        self.haproxy = Haproxy()
        self.told = []
        self.addresses = {"i-1": "10.0.0.1", "i-2": "10.0.0.2"}
        runtime = Runtime(lambda: self.haproxy.where, backend="targets")
        self.balancer = Balancer(
            runtime,
            name="web",
            tell=self.told.append,
            address_of=lambda name: self.addresses.get(name, ""),
            say=lambda _: None,
        )

    def register(self, *names):
        for name in names:
            self.balancer.apply(Register(ARN, name, 8080))
        self.balancer.look()

    def sees(self, name, **state):
        """HAProxy finds something out, and is looked at."""
        self.haproxy.servers[name] |= state
        self.told.clear()
        self.balancer.look()
        return self.told


@pytest.fixture
def world():
    made = World()
    yield made
    made.haproxy.close()


def test_targets_become_servers_and_their_checks_their_health(world):
    world.register("i-1", "i-2")
    assert {name: one["addr"] for name, one in world.haproxy.servers.items()} == {
        "i-1": "10.0.0.1:8080",
        "i-2": "10.0.0.2:8080",
    }
    assert world.told == []
    assert world.sees("i-1", status="UP", check="L7OK") == [TargetHealth(ARN, "i-1", healthy=True)]
    assert world.sees("i-1") == []
    unwell = [TargetHealth(ARN, "i-1", healthy=False, reason="Target.Timeout")]
    assert world.sees("i-1", status="DOWN", check="L7TOUT") == unwell


def test_one_that_does_not_run_yet_is_added_when_it_does(world):
    world.addresses = {}
    world.register("i-1")
    assert world.haproxy.servers == {}
    world.addresses = {"i-1": "10.0.0.9"}
    world.balancer.look()
    assert world.haproxy.servers["i-1"]["addr"] == "10.0.0.9:8080"


def test_what_is_under_way_is_waited_for_and_then_the_server_goes(world):
    world.register("i-1")
    world.sees("i-1", status="UP", check="L7OK", scur=1)
    world.balancer.apply(Deregister(ARN, "i-1"))
    assert world.sees("i-1") == []
    assert world.haproxy.servers["i-1"]["status"] == "DRAIN"
    assert world.sees("i-1", scur=0) == [Deregistered(ARN, "i-1")]
    assert world.haproxy.servers == {}


def test_a_request_that_came_as_the_server_began_to_drain_is_waited_for(world):
    """HAProxy was looked at before it was told to drain: in between it may have sent the server one more."""
    world.register("i-1")
    world.sees("i-1", status="UP", check="L7OK")
    world.balancer.apply(Deregister(ARN, "i-1"))
    world.haproxy.comes_with_the_drain = 1
    assert world.sees("i-1") == []
    assert world.sees("i-1") == []
    assert world.sees("i-1", scur=0) == [Deregistered(ARN, "i-1")]


def test_one_that_died_is_not_waited_for(world):
    world.register("i-1")
    world.sees("i-1", status="UP", check="L7OK", scur=1)
    world.balancer.apply(Deregister(ARN, "i-1"))
    world.addresses = {}
    assert world.sees("i-1") == [Deregistered(ARN, "i-1")]


def test_what_was_never_registered_is_deregistered_at_once(world):
    world.balancer.apply(Deregister(ARN, "i-7"))
    world.balancer.look()
    assert world.told == [Deregistered(ARN, "i-7")]


def test_servers_that_haproxy_forgot_come_back_and_strangers_go(world):
    world.register("i-1")
    world.haproxy.servers = {"i-9": server("10.0.0.7:80")}
    world.balancer.look()
    assert list(world.haproxy.servers) == ["i-1"]


def test_requests_are_counted_for_each_healthy_target(world):
    world.register("i-1", "i-2")
    world.sees("i-1", status="UP", check="L7OK", **{"2xx": 90, "5xx": 10})
    world.sees("i-2", status="UP", check="L7OK", **{"2xx": 20})

    def measured():
        points = world.balancer.measure()
        assert {point.dimensions for point in points} == {(("TargetGroup", "targetgroup/web/0123456789abcdef"),)}
        return {point.name: point.total for point in points}

    assert measured() == {"RequestCount": 120, "HealthyHostCount": 2, "RequestCountPerTarget": 60}
    assert measured() == {"RequestCount": 0, "HealthyHostCount": 2, "RequestCountPerTarget": 0}
    world.sees("i-1", **{"2xx": 95})
    assert measured()["RequestCount"] == 5
    # Started again, it counts anew.
    world.sees("i-1", **{"2xx": 3, "5xx": 0})
    assert measured()["RequestCount"] == 3


def test_a_refusal_is_said(world):
    with pytest.raises(StackError, match="No such server"):
        Runtime(lambda: world.haproxy.where, backend="targets").drain("i-1")


def test_only_its_own_target_group_is_served(world):
    assert world.balancer.serves(ARN)
    assert not world.balancer.serves(ARN.replace("/web/", "/web2/"))
