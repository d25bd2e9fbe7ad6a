"""The nodes' states, from literal answers of their management APIs."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from parity.errors import NotReadyError, StackError
from parity.stack.broker import Broker
from parity.stack.description import BrokerSection

SECTION = BrokerSection(kind="rabbitmq", services=("one", "two"), user="u", password="p")
PORTS = {"one": 1, "two": 2}


def node(name: str, *, running: bool = True, partitions: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": f"rabbit@{name}", "running": running, "partitions": list(partitions)}


def states(answers: dict[str, Any]) -> dict[str, str]:
    """What parity makes of each node's answer: nodes as JSON, or a status."""

    def answer(request: httpx.Request) -> httpx.Response:
        given = next(answers[service] for service, port in PORTS.items() if request.url.port == port)
        return httpx.Response(given) if isinstance(given, int) else httpx.Response(200, json=given)

    broker = Broker(SECTION, {})
    broker._ports = {(service, SECTION.management_port): port for service, port in PORTS.items()}
    broker._http = httpx.Client(transport=httpx.MockTransport(answer))
    return broker.node_states()


BOTH = [node("one"), node("two")]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        pytest.param(BOTH, BOTH, ("running", "running"), id="whole"),
        pytest.param(404, BOTH, ("down", "running"), id="a node whose API is not there yet"),
        pytest.param(BOTH, 404, ("running", "running"), id="unless another has told of it before"),
        pytest.param([node("one"), node("two", running=False)], 500, ("running", "down"), id="a node that is away"),
        pytest.param(
            BOTH, [node("one"), node("two", partitions=("rabbit@one",))], ("running", "partitioned"), id="parted"
        ),
    ],
)
def test_a_node_runs_when_those_that_answer_say_so(one: Any, two: Any, expected: tuple[str, str]):
    assert states({"one": one, "two": two}) == {"one": expected[0], "two": expected[1]}


def test_nodes_that_accept_and_say_nothing_are_an_error_of_the_stack(monkeypatch: pytest.MonkeyPatch):
    """The kernel of a frozen node accepts connections for it; what the library raises then is no defect of ours."""
    monkeypatch.setattr("parity.stack.broker._TIMEOUT_S", 0.2)
    broker = Broker(SECTION, {})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker._ports = {(service, SECTION.amqp_port): silent.getsockname()[1] for service in SECTION.services}

        with pytest.raises(StackError, match=r"no broker node takes an AMQP connection: one: .*; two: "):
            broker.connect("/")


class Nodes:
    """Two nodes' management APIs, and what they know of one virtual host; what RabbitMQ 3.10 answers.

    Args:
        made: What each node says to the request that makes it: a status, or what the client sees instead of one.
        states: Its state on each node at each look; the last stays.
        refuses: What a node says to being asked to start it; nothing where it does.
    """

    def __init__(
        self,
        *states: dict[str, str],
        made: tuple[int | type[httpx.HTTPError], ...] = (201, 204),
        refuses: str = "",
        exists: bool = False,
    ) -> None:
        self.states = list(states)
        self.made = dict(zip(PORTS.values(), made, strict=True))
        self.refuses = refuses
        self.exists = exists
        self.asked: list[str] = []
        self.broker = Broker(SECTION, {})
        self.broker._http = httpx.Client(transport=httpx.MockTransport(self._answer))
        # A port that is looked up again is the same one.
        self.broker.port = lambda service, _: PORTS[service]  # type: ignore[method-assign]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/")
        self.asked.append(f"{request.method} {path} of {request.url.port}")
        if request.method == "POST":
            return httpx.Response(400, json={"reason": self.refuses}) if self.refuses else httpx.Response(204)
        if path.startswith("permissions"):
            return httpx.Response(201)
        if request.method == "PUT":
            self.timeout = request.extensions["timeout"]
            made = self.made[request.url.port or 0]
            if isinstance(made, int):
                return httpx.Response(made)
            raise made("cut")
        if "cluster_state" not in request.url.params["columns"]:
            return httpx.Response(200 if self.exists else 404, json={"name": "run"})
        states = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return httpx.Response(200, json={"cluster_state": {f"rabbit@{node}": state for node, state in states.items()}})

    def count(self, method: str) -> int:
        return len([one for one in self.asked if one.startswith(method)])


RUNNING = {"one": "running", "two": "running"}
STOPPED_ON_TWO = {"one": "running", "two": "stopped"}


class TestAVirtualHost:
    def test_that_runs_everywhere_is_looked_at_once(self):
        nodes = Nodes(RUNNING)
        assert nodes.broker.create_virtual_host("run") == []
        assert nodes.asked == [
            "GET vhosts/run of 1",
            "PUT vhosts/run of 1",
            "PUT permissions/run/u of 1",
            "GET vhosts/run of 1",
        ]

    def test_is_made_without_haste(self):
        """The node's own deadline is 45 s, and a client that hangs up before leaves it half made."""
        nodes = Nodes(RUNNING)
        nodes.broker.create_virtual_host("run")
        assert nodes.timeout["read"] > 45

    def test_is_started_where_it_is_stopped_and_that_is_told(self):
        nodes = Nodes(STOPPED_ON_TWO, STOPPED_ON_TWO, RUNNING)
        assert nodes.broker.create_virtual_host("run") == ["two"]
        assert [one for one in nodes.asked if one.startswith("POST")] == ["POST vhosts/run/start/rabbit@two of 1"]

    def test_that_is_there_already_stays_and_is_started(self):
        nodes = Nodes(STOPPED_ON_TWO, RUNNING, exists=True)
        assert nodes.broker.create_virtual_host("run") == ["two"]
        assert nodes.count("PUT vhosts") == 0

    def test_that_its_node_gave_up_on_is_started(self):
        """After 45 s the node answers 500; the virtual host is whole, and stopped somewhere."""
        nodes = Nodes(STOPPED_ON_TWO, RUNNING, made=(500, 204))
        assert nodes.broker.create_virtual_host("run") == ["two"]

    def test_need_not_run_on_a_node_that_does_not(self):
        nodes = Nodes({"two": "running"}, made=(httpx.ConnectError, 201))
        assert nodes.broker.create_virtual_host("run") == []

    @pytest.mark.parametrize("state", ["stopped", "nodedown"])
    def test_that_does_not_start_is_an_error_with_its_state_on_every_node(
        self, state: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("parity.stack.broker._RUN_S", 0.3)
        nodes = Nodes({"one": "running", "two": state}, refuses="it crashed")
        with pytest.raises(
            NotReadyError, match=rf"the virtual host run on every node .* one running, two {state}"
        ) as error:
            nodes.broker.create_virtual_host("run")
        assert nodes.count("POST") == (2 if state == "stopped" else 0)  # once, of each node that can be asked
        assert ("it crashed" in str(error.value)) is (state == "stopped")

    def test_that_a_node_refuses_to_start_and_that_runs_all_the_same_is_not_told_as_started(self):
        nodes = Nodes(STOPPED_ON_TWO, RUNNING, refuses="it starts already")
        assert nodes.broker.create_virtual_host("run") == []

    @pytest.mark.parametrize("error", [httpx.ReadError, httpx.RemoteProtocolError])
    def test_that_a_node_left_half_made_is_not_taken_for_made(self, error: type[httpx.HTTPError]):
        """The next node finds it there, and its exchanges are missing: literally 204, and 0 to 6 of 7 of them."""
        nodes = Nodes(RUNNING, made=(error, 204))
        with pytest.raises(StackError, match=r"one: cut; two: 204 it is there, half made"):
            nodes.broker.create_virtual_host("run")

    def test_that_a_node_did_not_begin_is_made_by_the_next(self):
        """A node that boots closes connections; the next one makes it from the start: 201."""
        nodes = Nodes(RUNNING, made=(httpx.ReadError, 201))
        assert nodes.broker.create_virtual_host("run") == []

    def test_whose_node_never_answers_is_asked_of_no_other(self):
        nodes = Nodes(RUNNING, made=(httpx.ReadTimeout, 204))
        with pytest.raises(StackError, match=r"one: no answer within 60 s, and it may be half made$"):
            nodes.broker.create_virtual_host("run")


@pytest.mark.parametrize(
    ("answer", "without"),
    [
        pytest.param("[[leader,follower,follower],[follower,follower,leader]]", [], id="both have one"),
        pytest.param("[[leader,follower,follower],\n [candidate,follower,noproc]]", ["dead"], id="one has none"),
        pytest.param("[[leader,leader,follower],[leader,follower,follower]]", ["jobs"], id="two think they lead"),
        pytest.param("[[leader,follower,noproc],[leader,follower,follower]]", ["jobs"], id="a member is missing"),
        pytest.param("[[leader,follower,follower]]", ["dead"], id="nothing is said of one"),
        pytest.param(StackError("it crashed"), ["jobs", "dead"], id="nobody tells"),
    ],
)
def test_a_queue_has_elected_when_one_member_leads_and_all_others_follow(
    monkeypatch: pytest.MonkeyPatch, answer: str | StackError, without: list[str]
):
    asked: list[str] = []

    def control(*arguments: str) -> str:
        asked.extend(arguments)
        if isinstance(answer, StackError):
            raise answer
        return answer

    broker = Broker(SECTION, {})
    monkeypatch.setattr(broker, "control", control)
    assert broker.without_election('run "ä"', ["jobs", "dead"]) == without
    assert '<<"run \\"ä\\""/utf8>>' in asked[-1]
    assert broker.without_election("run", []) == []


def test_a_port_is_looked_up_again_where_nobody_answers_but_not_at_once(monkeypatch: pytest.MonkeyPatch):
    now_s, looked_up = [100.0], []
    monkeypatch.setattr("parity.stack.broker.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("parity.stack.broker.published_port", lambda *_: looked_up.append(1) or 1)
    broker = Broker(SECTION, dict.fromkeys(SECTION.services))

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    broker._http = httpx.Client(transport=httpx.MockTransport(answer))
    for _ in range(3):
        broker.node_states()
    assert len(looked_up) == len(SECTION.services), "a node that boots does not answer for seconds"
    now_s[0] += 1.5
    broker.node_states()
    broker.node_states()
    assert len(looked_up) == 2 * len(SECTION.services), "it may have been restarted, with another port"
