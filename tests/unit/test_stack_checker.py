"""Health checks of targets, by real requests to real servers."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from parity.model.scaling.balancing.health_checks import HealthCheck, Standing
from parity.model.scaling.world import Deregister, Deregistered, Register, TargetHealth
from parity.stack.checker import Checker, Outcome, probe
from parity.stack.targets import Targets

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"
WEB = HealthCheck(
    protocol="HTTP",
    port=None,
    path="/health",
    codes=((200, 200),),
    interval_s=1,
    timeout_s=1,
    healthy_after=2,
    unhealthy_after=2,
)
#: Swifter than a target group may state.
SWIFT = replace(WEB, interval_s=0.1)
TIMEOUT_S = 20


class Handler(BaseHTTPRequestHandler):
    """`/CODE` is answered with that code, anything else with 200."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["User-Agent"]))
        code = self.path[1:]
        self.send_response(int(code) if code.isdecimal() else self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.code = [], 200
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def closed_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return one.getsockname()[1]


def test_the_path_is_asked_for_and_the_codes_decide(web):
    def outcome(**how):
        return probe(replace(WEB, **how), "127.0.0.1", web.server_port)

    assert outcome() == Outcome()
    assert web.asked == [("/health", "ELB-HealthChecker/2.0")]
    assert outcome(path="/404") == Outcome(reason="Target.ResponseCodeMismatch", code=404)
    assert outcome(path="/404", codes=((200, 299), (404, 404))) == Outcome()
    assert outcome(path="/302") == Outcome(reason="Target.ResponseCodeMismatch", code=302)


def test_what_does_not_answer_in_time_is_told_from_what_refuses(web):
    refused = Outcome(reason="Target.FailedHealthChecks")
    assert probe(WEB, "127.0.0.1", closed_port()) == refused
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        assert probe(WEB, "127.0.0.1", port) == Outcome(reason="Target.Timeout")
        # A connection is enough for the one, and no answer for the other.
        assert probe(replace(WEB, protocol="TCP"), "127.0.0.1", port) == Outcome()
    assert probe(replace(WEB, protocol="TCP"), "127.0.0.1", closed_port()) == refused
    assert probe(replace(WEB, protocol="HTTPS"), "127.0.0.1", web.server_port) == refused


def test_a_row_of_checks_decides():
    check, standing = replace(WEB, healthy_after=3, unhealthy_after=2), Standing()
    checks = [False, True, False, True, False, False, True, True, False, True, True, True]
    told = [(standing.take(check, passed=passed), standing.healthy) for passed in checks]
    new = (False, None)
    well, unwell = (False, True), (False, False)
    # The first one that passes is enough for a new target; later it takes as many in a row as are stated.
    assert told == [new, (True, True), well, well, well, (True, False), *[unwell] * 5, (True, True)]


def test_a_new_target_becomes_unhealthy_after_as_many_failures():
    standing = Standing()
    assert [standing.take(WEB, passed=False) for _ in range(3)] == [False, True, False]


class Checking:
    """A checker whose target group may be changed."""

    def __init__(self, port):
        self.check = SWIFT
        self.address = "127.0.0.1"
        self.found = Queue()
        self.checker = Checker(
            check_of=lambda target_group: self.check if target_group == ARN else None,
            address_of=lambda _: self.address,
            found=self.found.put,
            first_after_s=0.0,
            every_s=0.02,
        )
        self.checker.add(ARN, "i-1", port)
        self.checker.start()

    def next(self):
        return self.found.get(timeout=TIMEOUT_S)


@pytest.fixture
def checking(web):
    made = Checking(web.server_port)
    yield made
    made.checker.close()


def test_a_target_is_checked_again_and_again_and_as_it_is_stated_by_then(checking, web):
    well = TargetHealth(ARN, "i-1", healthy=True)
    assert checking.next() == well
    checking.check = replace(SWIFT, path="/404")
    mismatch = TargetHealth(ARN, "i-1", healthy=False, reason="Target.ResponseCodeMismatch", code=404)
    assert checking.next() == mismatch
    checking.check = replace(SWIFT, path="/404", codes=((400, 499),))
    assert checking.next() == well
    checking.check = replace(SWIFT, port=closed_port())
    assert checking.next() == TargetHealth(ARN, "i-1", healthy=False, reason="Target.FailedHealthChecks")


def test_what_does_not_run_fails(checking):
    assert checking.next().healthy
    checking.address = ""
    assert checking.next() == TargetHealth(ARN, "i-1", healthy=False, reason="Target.FailedHealthChecks")


def test_what_is_removed_is_checked_no_more(checking, web):
    assert checking.next().healthy
    checking.checker.add(ARN, "i-2", web.server_port)
    assert checking.next().healthy
    checking.checker.remove(ARN, "i-1")
    web.code = 500
    told = [checking.next().instance_id]
    # One more row of the other's checks, and nothing was told of this one in between.
    web.code = 200
    told.append(checking.next().instance_id)
    assert told == ["i-2", "i-2"]


def test_without_a_load_balancer_targets_are_checked_all_the_same(web):
    told = Queue()
    targets = Targets(told.put, check_of=lambda _: WEB, address_of=lambda _: "127.0.0.1")
    targets.apply(Register(ARN, "i-1", web.server_port))
    targets.start()
    assert told.get(timeout=TIMEOUT_S) == TargetHealth(ARN, "i-1", healthy=True)
    targets.apply(Deregister(ARN, "i-1"))
    assert told.get(timeout=TIMEOUT_S) == Deregistered(ARN, "i-1")
    targets.close()
