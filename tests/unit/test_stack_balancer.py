"""A target group's targets as HAProxy's servers, against something that answers as HAProxy's runtime API does."""

from __future__ import annotations

import socket
import threading

import pytest

from parity.errors import StackError
from parity.model.scaling.balancing.routing import Routing
from parity.model.scaling.world import CutOff, Deregister, Deregistered, Register, TargetHealth
from parity.stack.balancer import Balancer
from parity.stack.haproxy import Runtime

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"
COLUMNS = [
    *("# pxname", "svname", "scur", "status", "addr", "idle_conn_cur"),
    *("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", ""),
]


class Haproxy:
    """A runtime API with one backend."""

    def __init__(self):
        self.servers = {}
        self.commands = []
        self.comes_with_the_drain = 0
        self.refuses = ""
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
        if command == self.refuses:
            return "not today"
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
        return self._change(name, words)

    def _change(self, name, words):
        there = self.servers[name]
        if words[0] == "del":
            if there["status"] != "MAINT":
                return "Only servers in maintenance mode can be deleted."
            if there["scur"] or there["idle"]:
                return "Server still has connections attached to it, cannot remove it."
            del self.servers[name]
            return "Server deleted."
        if words[0] == "shutdown":
            there["scur"] = 0
        elif words[-1] == "ready":
            there["status"] = "no check"
        elif words[-1] == "maint":
            there["status"] = "MAINT"
            there["scur"] += self.comes_with_the_drain
            self.comes_with_the_drain = 0
        return ""


def server(address, **more):
    state = {"scur": 0, "status": "MAINT", "addr": address, "idle": 0}
    return state | dict.fromkeys(["1xx", "2xx", "3xx", "4xx", "5xx", "other"], 0) | more


class World:
    def __init__(self):
        self.haproxy = Haproxy()
        self.told = []
        self.said = []
        self.addresses = {"i-1": "10.0.0.1", "i-2": "10.0.0.2"}
        self.routing = Routing()
        self.balancer = self.begun()

    def begun(self):
        return Balancer(
            Runtime(lambda: self.haproxy.where, backend="targets"),
            name="web",
            tell=self.told.append,
            address_of=lambda name: self.addresses.get(name, ""),
            routing_of=lambda target_group: self.routing if target_group == ARN else None,
            say=self.said.append,
        )

    def register(self, *names):
        for name in names:
            self.balancer.apply(Register(ARN, name, 8080))
        self.balancer.look()

    def deregister(self, name):
        self.balancer.apply(Deregister(ARN, name))

    def healthy(self, *names):
        self.register(*names)
        for name in names:
            self.finds(name, healthy=True)

    def finds(self, name, **how):
        """A check comes to something, and HAProxy is looked at."""
        self.balancer.apply(TargetHealth(ARN, name, **how))
        return self.sees(name)

    def sees(self, name, **state):
        """HAProxy finds something out, and is looked at."""
        if name in self.haproxy.servers:
            self.haproxy.servers[name] |= state
        self.told.clear()
        self.balancer.look()
        return self.told

    def ready(self):
        return [name for name, one in self.haproxy.servers.items() if one["status"] == "no check"]


@pytest.fixture
def world():
    made = World()
    yield made
    made.haproxy.close()


def test_targets_become_servers_and_are_sent_to_while_their_checks_are_well(world):
    world.register("i-1", "i-2")
    assert {name: one["addr"] for name, one in world.haproxy.servers.items()} == {
        "i-1": "10.0.0.1:8080",
        "i-2": "10.0.0.2:8080",
    }
    assert (world.told, world.ready()) == ([], [])
    assert world.finds("i-2", healthy=True) == [TargetHealth(ARN, "i-2", healthy=True)]
    assert world.finds("i-1", healthy=True) == [TargetHealth(ARN, "i-1", healthy=True)]
    assert (world.sees("i-1"), world.ready()) == ([], ["i-1", "i-2"])
    unwell = TargetHealth(ARN, "i-1", healthy=False, reason="Target.Timeout")
    assert world.finds("i-1", healthy=False, reason="Target.Timeout") == [unwell]
    assert world.ready() == ["i-2"]
    assert world.finds("i-1", healthy=True) == [TargetHealth(ARN, "i-1", healthy=True)]
    assert world.ready() == ["i-1", "i-2"]


def test_health_is_told_once_haproxy_has_it(world):
    """Whoever is told that a target is healthy may count on requests reaching it."""
    world.register("i-1")
    runtime_is_at, world.haproxy.where = world.haproxy.where, ("127.0.0.1", 1)
    world.balancer.apply(TargetHealth(ARN, "i-1", healthy=True))
    with pytest.raises(StackError):
        world.balancer.look()
    assert world.told == []
    world.haproxy.where = runtime_is_at
    assert world.sees("i-1") == [TargetHealth(ARN, "i-1", healthy=True)]


def test_where_too_few_are_healthy_the_unhealthy_are_sent_to_as_well(world):
    world.healthy("i-1", "i-2")
    world.finds("i-1", healthy=False)
    assert world.ready() == ["i-2"]
    world.finds("i-2", healthy=False)
    world.balancer.look()
    assert world.ready() == ["i-1", "i-2"]
    world.finds("i-2", healthy=True)
    assert world.ready() == ["i-2"]
    world.routing = Routing(fewest_percent=51)
    world.balancer.look()
    assert world.ready() == ["i-1", "i-2"]


def test_one_that_was_never_well_is_not_sent_to_for_want_of_others(world):
    world.register("i-1")
    world.balancer.look()
    assert world.ready() == []


def test_what_is_not_obeyed_is_said_once(world):
    world.routing = Routing(unheeded=("stickiness.enabled=true",))
    world.register("i-1")
    world.balancer.look()
    assert world.said == ["the load balancer does not obey stickiness.enabled=true"]


def test_one_that_does_not_run_yet_is_added_when_it_does(world):
    world.addresses = {}
    world.register("i-1")
    assert world.haproxy.servers == {}
    world.addresses = {"i-1": "10.0.0.9"}
    world.balancer.look()
    assert world.haproxy.servers["i-1"]["addr"] == "10.0.0.9:8080"


def test_one_that_does_not_run_any_more_is_not_sent_to(world):
    """Before its checks fail: that takes as long as they are stated to."""
    world.healthy("i-1", "i-2")
    del world.addresses["i-1"]
    world.balancer.look()
    assert world.ready() == ["i-2"]


def test_what_is_under_way_is_waited_for_and_then_the_server_goes(world):
    world.healthy("i-1")
    world.sees("i-1", scur=1)
    world.deregister("i-1")
    assert world.sees("i-1") == []
    assert (world.sees("i-1"), world.ready()) == ([], [])
    assert world.sees("i-1", scur=0) == [Deregistered(ARN, "i-1")]
    assert world.haproxy.servers == {}


def test_a_request_that_came_as_the_server_began_to_drain_is_waited_for(world):
    """HAProxy was looked at before it was told to drain: in between it may have sent the server one more."""
    world.healthy("i-1")
    world.deregister("i-1")
    world.haproxy.comes_with_the_drain = 1
    assert world.sees("i-1") == []
    assert world.sees("i-1") == []
    assert world.sees("i-1", scur=0) == [Deregistered(ARN, "i-1")]


def test_a_server_with_idle_connections_is_gone_when_they_are(world):
    """HAProxy keeps it until then; nothing is under way, so nobody waits for that."""
    world.healthy("i-1")
    world.deregister("i-1")
    world.sees("i-1", idle=1)
    assert world.sees("i-1") == [Deregistered(ARN, "i-1")]
    assert (list(world.haproxy.servers), world.ready()) == (["i-1"], [])
    world.sees("i-1", idle=0)
    assert (world.haproxy.servers, world.said) == ({}, [])


def test_what_is_under_way_is_cut_off_when_the_delay_is_over(world):
    world.healthy("i-1", "i-2")
    world.sees("i-1", scur=1)
    world.deregister("i-1")
    world.sees("i-1")
    world.sees("i-1")
    assert "shutdown sessions server targets/i-1" not in world.haproxy.commands
    world.balancer.apply(CutOff(ARN, "i-1"))
    # The region has ended it by itself.
    assert world.sees("i-1") == []
    assert "shutdown sessions server targets/i-1" in world.haproxy.commands
    assert list(world.haproxy.servers) == ["i-2"]


def test_what_haproxy_refuses_is_tried_again(world):
    world.healthy("i-1")
    world.deregister("i-1")
    world.balancer.look()
    world.haproxy.refuses = "del server targets/i-1"
    with pytest.raises(StackError, match="not today"):
        world.balancer.look()
    assert world.told[-1:] != [Deregistered(ARN, "i-1")]
    world.haproxy.refuses = ""
    assert world.sees("i-1") == [Deregistered(ARN, "i-1")]


def test_one_that_is_registered_again_is_not_cut_off(world):
    world.healthy("i-1")
    world.sees("i-1", scur=1)
    world.deregister("i-1")
    world.register("i-1")
    world.balancer.apply(CutOff(ARN, "i-1"))
    world.balancer.look()
    assert "shutdown sessions server targets/i-1" not in world.haproxy.commands
    assert list(world.haproxy.servers) == ["i-1"]


def test_one_that_died_is_not_waited_for(world):
    world.healthy("i-1")
    world.sees("i-1", scur=1)
    world.deregister("i-1")
    world.addresses = {}
    assert world.sees("i-1") == [Deregistered(ARN, "i-1")]


def test_what_was_never_registered_is_deregistered_at_once(world):
    world.deregister("i-7")
    world.balancer.look()
    assert world.told == [Deregistered(ARN, "i-7")]


def test_servers_that_haproxy_forgot_come_back_and_strangers_go(world):
    world.healthy("i-1")
    world.haproxy.servers = {"i-9": server("10.0.0.7:80", scur=1, status="no check")}
    world.balancer.look()
    assert (list(world.haproxy.servers), world.ready()) == (["i-1"], ["i-1"])


def test_a_new_process_leaves_servers_as_they_were_until_it_knows(world):
    world.healthy("i-1", "i-2")
    world.finds("i-2", healthy=False)
    world.balancer = world.begun()
    world.register("i-1", "i-2")
    assert world.ready() == ["i-1"]
    assert world.finds("i-1", healthy=True) == [TargetHealth(ARN, "i-1", healthy=True)]
    assert world.ready() == ["i-1"]


def test_requests_are_counted_for_each_healthy_target(world):
    world.healthy("i-1", "i-2")
    world.sees("i-1", **{"2xx": 90, "5xx": 10})
    world.sees("i-2", **{"2xx": 20})

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
    # A new process has not seen what was answered before it.
    world.balancer = world.begun()
    world.register("i-1", "i-2")
    assert measured()["RequestCount"] == 0
    world.sees("i-1", **{"2xx": 7})
    assert measured()["RequestCount"] == 4


def test_a_refusal_is_said(world):
    with pytest.raises(StackError, match="No such server"):
        Runtime(lambda: world.haproxy.where, backend="targets").cut_off("i-1")


def test_only_its_own_target_group_is_served(world):
    assert world.balancer.serves(ARN)
    assert not world.balancer.serves(ARN.replace("/web/", "/web2/"))
