"""The nodes' states, from literal answers of their management APIs."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from parity.errors import StackError
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
