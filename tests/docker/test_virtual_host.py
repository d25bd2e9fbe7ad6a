"""A virtual host is made whole and runs everywhere before a run begins, on RabbitMQ itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parity.errors import StackError
from parity.history.events import Remark
from parity.history.file import read_history
from parity.run.entry import Entry
from parity.run.session import run_entry
from parity.scenario.scenario import Expectation, load_scenario
from parity.stack.broker import Broker
from parity.stack.description import load_stack
from parity.stack.stack import Stack, blueprint, running_stack

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.docker

#: Its exchanges when RabbitMQ has made it to the end.
WHOLE = 7


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(blueprint(load_stack("compose/rabbitmq", root=ROOT)), progress=print) as stack:
        yield stack


def states(broker: Broker, name: str) -> dict[str, str]:
    shown = broker.request("GET", f"vhosts/{name}?columns=cluster_state")["cluster_state"]
    return {node.removeprefix("rabbit@"): state for node, state in shown.items()}


def stop(broker: Broker, name: str, *, node: str) -> None:
    broker.control(node, "eval", f'rabbit_vhost_sup_sup:stop_and_delete_vhost(<<"{name}">>).')


def test_where_it_is_stopped_it_is_started(stack: Stack) -> None:
    broker = stack.broker
    # On a busy machine it may be stopped somewhere at first: a node that still boots is passed over.
    broker.create_virtual_host("stopped")
    assert set(states(broker, "stopped").values()) == {"running"}
    stop(broker, "stopped", node="rabbit2")
    assert states(broker, "stopped") == {"rabbit1": "running", "rabbit2": "stopped", "rabbit3": "running"}
    assert broker.create_virtual_host("stopped") == ["rabbit2"]
    assert set(states(broker, "stopped").values()) == {"running"}
    broker.delete_virtual_host("stopped")


def test_a_run_says_so_and_goes_on(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped on every node, as in a run that no worker could connect to for a minute."""
    make = Broker._make_virtual_host

    def make_and_stop(self: Broker, path: str) -> None:
        make(self, path)
        for node in self.section.services:
            stop(self, path.removeprefix("vhosts/"), node=node)

    monkeypatch.setattr(Broker, "_make_virtual_host", make_and_stop)
    scenario = load_scenario(ROOT / "scenarios/worker-stopped-gracefully.yaml")
    files = stack.plan.files
    entry = Entry(files=files, scenario=scenario, expectation=Expectation(), source=scenario.name)
    result = run_entry(entry, stack.plan, stack, seed=1, out=tmp_path, progress=print, announce=lambda *_: None)
    assert result.as_expected, result.error
    remarks = [event.text for event in read_history(result.record / "history.jsonl") if isinstance(event, Remark)]
    assert remarks == [
        f"the virtual host was stopped on rabbit{node} when it had been made, and was started" for node in (1, 2, 3)
    ]


def test_one_that_was_cut_off_is_half_made_and_is_not_used(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """RabbitMQ stops making it when its client hangs up, and then takes it for made: why parity waits for as long."""
    broker = stack.broker
    refused: list[str] = []
    half_made = []
    for cut_off_ms in range(5, 100, 5):
        monkeypatch.setattr("parity.stack.broker._MAKE_S", cut_off_ms / 1000)
        name = f"cut-off-after-{cut_off_ms}"
        try:
            broker.create_virtual_host(name)
        except StackError as error:
            refused.append(str(error))
            # Where nothing was begun the second node makes it whole; what is there it takes for made.
            broker.request("PUT", f"vhosts/{name}", body={}, node="rabbit2")
            exchanges = len(broker.request("GET", f"exchanges/{name}"))
            if exchanges < WHOLE or "stopped" in states(broker, name).values():
                half_made.append(name)
        broker.delete_virtual_host(name)
    assert half_made
    assert all(text.endswith("and it may be half made") for text in refused), refused


def test_a_node_that_is_down_is_not_waited_for(stack: Stack) -> None:
    stack.containers["rabbit1"].kill()
    stack.broker.forget_ports()
    assert set(stack.broker.create_virtual_host("without-one")) <= {"rabbit2", "rabbit3"}
    assert states(stack.broker, "without-one").keys() == {"rabbit2", "rabbit3"}
    stack.restart("rabbit1")
    stack.wait_ready(within_s=120)
    assert states(stack.broker, "without-one").keys() == {"rabbit1", "rabbit2", "rabbit3"}
    assert stack.broker.create_virtual_host("without-one") in ([], ["rabbit1"])
