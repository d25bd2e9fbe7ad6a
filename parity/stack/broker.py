"""RabbitMQ seen from outside: its management API on every node, and its queues over AMQP."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import pika
import pika.exceptions
from docker.models.containers import Container
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from parity.errors import EngineError, StackError
from parity.stack.description import BrokerSection, QueuesSection
from parity.stack.engine import execute, published_port, wait_for

_TIMEOUT_S = 3.0
#: How long a node may take to make a virtual host. Real: the API gives the nodes 45 s to start it, and whoever hangs up
#: before it answers leaves it half made. Ours: more than that. Source: rabbit_vhost:put_vhost, RabbitMQ 3.8 to 3.13.
_MAKE_S = 60.0
#: How long a virtual host that was made, or started where it was stopped, may take to run everywhere.
_RUN_S = 30.0
#: A port that was looked up so lately is not looked up again, though nobody answers there: a node that boots does not.
_PORT_GOOD_S = 1.0


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """A queue as the broker's statistics show it, late by their interval.

    Args:
        name: The queue.
        ready: Messages waiting.
        unacknowledged: Messages handed out and not acknowledged.
        leader: The node that leads it, by service name; empty where none does.
        online: Whether every member the queue has is online.
        quorum: Whether it is a quorum queue, whose leader is elected.
    """

    name: str
    ready: int
    unacknowledged: int
    leader: str
    online: bool
    quorum: bool


class Broker:
    """A RabbitMQ cluster.

    Args:
        section: What the stack says of it.
        containers: Its nodes, by service name.
    """

    def __init__(self, section: BrokerSection, containers: dict[str, Container]) -> None:
        self.section = section
        self.containers = containers
        self._ports: dict[tuple[str, int], int] = {}
        self._looked_up_s: dict[tuple[str, int], float] = {}
        self._settle_s: float | None = None
        self._http = httpx.Client(auth=(section.user, section.password), timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Close the connections to the management API."""
        self._http.close()

    def port(self, service: str, port: int) -> int:
        """The host's loopback port for a node's port, looked up once until `forget_ports`."""
        key = (service, port)
        if key not in self._ports:
            self._looked_up_s[key] = time.monotonic()
            self._ports[key] = published_port(self.containers[service], port)
        return self._ports[key]

    def _doubt_port(self, service: str, port: int) -> None:
        """Look a port up again where nobody answers: its container may have been restarted by another hand."""
        key = (service, port)
        if time.monotonic() - self._looked_up_s.get(key, -_PORT_GOOD_S) >= _PORT_GOOD_S:
            self._ports.pop(key, None)

    def forget_ports(self) -> None:
        """Look ports up again: a restarted container has new ones."""
        self._ports.clear()

    def request(self, method: str, path: str, *, body: Any = None, node: str | None = None) -> Any:
        """Ask the management API of one node, or of the first that answers.

        Returns:
            The JSON answer; None where there is none, or the thing does not exist (404).

        Raises:
            StackError: No node answered well; names the last answer of each.
        """
        answers: list[str] = []
        for service in [node] if node else list(self.section.services):
            try:
                answer = self._ask(service, method, path, body)
            except (httpx.HTTPError, EngineError) as error:
                answers.append(f"{service}: {error or type(error).__name__}")
                continue
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            if answer.is_success:
                return answer.json() if answer.content else None
            answers.append(f"{service}: {answer.status_code} {answer.text[:200]}")
        raise _refused(method, path, answers)

    def _ask(self, service: str, method: str, path: str, body: Any, *, read_s: float = _TIMEOUT_S) -> httpx.Response:
        """Ask the management API of one node, and look its port up again where it did not answer."""
        try:
            port = self.port(service, self.section.management_port)
            timeout = httpx.Timeout(_TIMEOUT_S, read=read_s)
            return self._http.request(method, f"http://127.0.0.1:{port}/api/{path}", json=body, timeout=timeout)
        except (httpx.HTTPError, EngineError):
            self._doubt_port(service, self.section.management_port)
            raise

    def node_states(self) -> dict[str, str]:
        """For each node's service: `running`, `down`, or `partitioned`, as the nodes that answer see it.

        Raises:
            StackError: No node answers.
        """
        states: dict[str, str] = {}
        for service in self.section.services:
            try:
                answer = self.request("GET", "nodes?columns=name,running,partitions", node=service)
            except StackError:
                answer = None
            # The web server of a node that starts is there before its API is.
            if answer is None:
                states.setdefault(service, "down")
                continue
            seen = {self._service(node["name"]): node for node in answer}
            for name in self.section.services:
                node = seen.get(name)
                if node is None or not node.get("running"):
                    states[name] = "down"
                elif node.get("partitions"):
                    states[name] = "partitioned"
                else:
                    states.setdefault(name, "running")
        return {service: states.get(service, "down") for service in self.section.services}

    def queues(self, virtual_host: str) -> list[QueueState]:
        """The virtual host's queues.

        Raises:
            StackError: No node answers.
        """
        # Totals straight from the queues: the statistics proper are five seconds late whatever their interval.
        fresh = "disable_stats=true&enable_queue_totals=true"
        answer = self.request("GET", f"queues/{quote(virtual_host, safe='')}?{fresh}")
        return [self._queue_state(queue) for queue in answer or []]

    def queue(self, virtual_host: str, name: str) -> dict[str, Any] | None:
        """A queue as the management API shows it; None where there is none.

        Raises:
            StackError: No node answers.
        """
        shown: dict[str, Any] | None = self.request(
            "GET", f"queues/{quote(virtual_host, safe='')}/{quote(name, safe='')}"
        )
        return shown

    def _queue_state(self, queue: dict[str, Any]) -> QueueState:
        members = queue.get("members") or [queue.get("node")]
        online = queue.get("online") or ([queue.get("node")] if queue.get("state", "running") == "running" else [])
        leader = queue.get("leader") or queue.get("node") or ""
        return QueueState(
            name=queue["name"],
            ready=int(queue.get("messages_ready") or 0),
            unacknowledged=int(queue.get("messages_unacknowledged") or 0),
            leader=self._service(leader) if leader in online else "",
            online=set(members) <= set(online),
            quorum=queue.get("type") == "quorum",
        )

    def without_election(self, virtual_host: str, queues: Sequence[str]) -> list[str]:
        """Those of some quorum queues whose members do not agree that one of them leads; all where nobody can tell.

        The management API names the leader that a queue had last, also while there is none. The command line tool's
        `rabbitmq-queues quorum_status` takes a second of a processor for each queue; this asks what it asks, once.
        """
        if not queues:
            return []
        names = ", ".join(f"<<{_erlang(name)}/utf8>>" for name in queues)
        asked = (
            f'[[proplists:get_value(<<"Raft State">>, M) || '
            f"M <- rabbit_quorum_queue:status(<<{_erlang(virtual_host)}/utf8>>, Q)] || Q <- [{names}]]."
        )
        try:
            answer = self.control(self.section.services[0], "eval", asked)
        except StackError:
            return list(queues)
        states = [re.findall(r"\w+", members) for members in re.findall(r"\[([^][]*)\]", answer)]
        elected = [members.count("leader") == 1 and members.count("follower") == len(members) - 1 for members in states]
        return [name for number, name in enumerate(queues) if not any(elected[number : number + 1])]

    def settle_s(self) -> float:
        """How old the broker's queue statistics can be: its own intervals, asked of a node once.

        Raises:
            StackError: No node tells.
        """
        if self._settle_s is not None:
            return self._settle_s
        asked = "[application:get_env(rabbit, K, 5000) || K <- [collect_statistics_interval, quorum_tick_interval]]."
        answer = self.control(self.section.services[0], "eval", asked)
        intervals_ms = [int(number) for number in re.findall(r"\d+", answer)]
        self._settle_s = 1.2 * max(intervals_ms) / 1000 + 0.2
        return self._settle_s

    def create_virtual_host(self, name: str) -> list[str]:
        """Make a virtual host where the stack's user may do everything, and see that it runs on every node that runs.

        One that is there already stays, and is started where it is stopped.

        Returns:
            Each node where it was stopped and was started, by service name.

        Raises:
            StackError: It cannot be made, or an attempt at it was cut off.
            NotReadyError: It does not run everywhere in time; carries its last state on every node.
        """
        path = f"vhosts/{quote(name, safe='')}"
        if self.request("GET", f"{path}?columns=name") is None:
            self._make_virtual_host(path)
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        user = quote(self.section.user, safe="")
        self.request("PUT", f"permissions/{quote(name, safe='')}/{user}", body=everything)
        return self._start_where_stopped(name, path)

    def _make_virtual_host(self, path: str) -> None:
        """Make a virtual host by the first node that does it to the end.

        A node whose client hangs up stops making it where it is: its exchanges are missing, or its supervisor on some
        nodes or all. The next node takes it for made (204, not 201), and starting it mends only the second.

        Raises:
            StackError: No node makes it, or one was cut off while it did.
        """
        answers: list[str] = []
        cut_off = False
        for service in self.section.services:
            try:
                answer = self._ask(service, "PUT", path, {}, read_s=_MAKE_S)
            except httpx.ReadTimeout:
                answers.append(f"{service}: no answer within {_MAKE_S:.0f} s, and it may be half made")
                break
            except (httpx.HTTPError, EngineError) as error:
                answers.append(f"{service}: {error or type(error).__name__}")
                cut_off = cut_off or not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | EngineError)
                continue
            if answer.status_code == httpx.codes.CREATED or (answer.is_success and not cut_off):
                return
            answers.append(f"{service}: {answer.status_code} {answer.text[:200] or 'it is there, half made'}")
        raise _refused("PUT", path, answers)

    def _start_where_stopped(self, name: str, path: str) -> list[str]:
        """Wait until a virtual host runs on every node that runs; start it once on a node where it is stopped.

        Returns:
            Each node where it was started, by service name.

        Raises:
            NotReadyError: It does not run everywhere in time.
        """
        refusals: dict[str, str] = {}

        def look() -> tuple[bool | None, str]:
            try:
                shown = self.request("GET", f"{path}?disable_stats=true&columns=cluster_state")
            except StackError as error:
                return None, str(error)
            states: dict[str, str] = (shown or {}).get("cluster_state") or {}
            for node, state in states.items():
                if state == "stopped" and node not in refusals:
                    refusals[node] = self._start_virtual_host(path, node)
            last = [f"{self._service(node)} {state}{refusals.get(node, '')}" for node, state in sorted(states.items())]
            there = bool(states) and all(state == "running" for state in states.values())
            return (True if there else None), ", ".join(last) or "it is gone"

        wait_for(f"the virtual host {name} on every node", look, within_s=_RUN_S, every_s=0.1)
        return [self._service(node) for node, refusal in sorted(refusals.items()) if not refusal]

    def _start_virtual_host(self, path: str, node: str) -> str:
        """Start a virtual host on a node where it is stopped, as `rabbitmqctl restart_vhost` does.

        Returns:
            Why it was not started, in brackets; empty where it was.
        """
        try:
            self.request("POST", f"{path}/start/{node}")
        except StackError as error:
            return f" ({error})"
        return ""

    def delete_virtual_host(self, name: str) -> None:
        """Remove a virtual host and all that is in it."""
        self.request("DELETE", f"vhosts/{quote(name, safe='')}")

    def set_policy(self, virtual_host: str, name: str, policy: dict[str, Any]) -> None:
        """Set a policy; the body is the management API's."""
        body = {"pattern": ".*", "apply-to": "queues"} | policy
        self.request("PUT", f"policies/{quote(virtual_host, safe='')}/{name}", body=body)

    def close_connections(self, virtual_host: str, addresses: set[str]) -> int:
        """Close the connections that come from these addresses.

        Returns:
            How many were closed.
        """
        closed = 0
        answer = self.request("GET", f"vhosts/{quote(virtual_host, safe='')}/connections?columns=name,peer_host")
        for connection in answer or []:
            if connection.get("peer_host") in addresses:
                self.request("DELETE", f"connections/{quote(connection['name'], safe='')}")
                closed += 1
        return closed

    def control(self, service: str, *arguments: str) -> str:
        """Run rabbitmqctl on a node.

        Returns:
            Its standard output.

        Raises:
            StackError: It failed.
        """
        code, text = execute(self.containers[service], "rabbitmqctl", "-q", *arguments)
        if code:
            raise StackError(f"rabbitmqctl {arguments[0]} on {service}: {text[-500:]}")
        return text

    def read_out(self, virtual_host: str, queue: str, queues: QueuesSection) -> Iterator[str]:
        """Every message of a queue, taken out; yields each one's job identity (empty where it has none).

        Raises:
            StackError: The queue cannot be read to its end.
        """
        pattern = None if queues.job_id == "message_id" else re.compile(queues.job_id)
        try:
            connection = self.connect(virtual_host)
            with connection:
                channel = connection.channel()
                if _consumers(connection, queue) is None:
                    return
                while True:
                    method, properties, body = channel.basic_get(queue, auto_ack=True)
                    if method is None:
                        return
                    if pattern is None:
                        yield str(properties.message_id or "")
                    else:
                        match = pattern.search(body.decode(errors="replace"))
                        yield match["job"] if match else ""
        except pika.exceptions.AMQPError as error:
            raise StackError(f"the queue {queue} cannot be read out: {error!r}") from error

    def connect(self, virtual_host: str) -> pika.BlockingConnection:
        """An AMQP connection to the first node that takes one.

        Raises:
            StackError: None does.
        """
        errors: list[str] = []
        for service in self.section.services:
            try:
                parameters = pika.ConnectionParameters(
                    host="127.0.0.1",
                    port=self.port(service, self.section.amqp_port),
                    virtual_host=virtual_host,
                    credentials=pika.PlainCredentials(self.section.user, self.section.password),
                    socket_timeout=_TIMEOUT_S,
                    stack_timeout=2 * _TIMEOUT_S,
                    blocked_connection_timeout=30,
                )
                return pika.BlockingConnection(parameters)
            except (pika.exceptions.AMQPError, AMQPConnectorException, EngineError, OSError) as error:
                self._doubt_port(service, self.section.amqp_port)
                errors.append(f"{service}: {error!r}")
        raise StackError(f"no broker node takes an AMQP connection: {'; '.join(errors)}")

    def _service(self, node: str) -> str:
        """The service of a node name such as `rabbit@rabbit1`."""
        return node.rpartition("@")[2]


class Consumers:
    """Counts consumers, asked of the queue itself and so not late, over one connection while that lasts.

    Args:
        broker: The broker.
        virtual_host: Where the queues are.
    """

    def __init__(self, broker: Broker, virtual_host: str) -> None:
        self._broker = broker
        self._virtual_host = virtual_host
        self._connection: pika.BlockingConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hang_up()

    def of(self, queue: str) -> int | None:
        """Consumers on a queue; None where there is no such queue.

        Raises:
            StackError: The queue does not answer.
        """
        try:
            if self._connection is None:
                self._connection = self._broker.connect(self._virtual_host)
            return _consumers(self._connection, queue)
        except pika.exceptions.AMQPError as error:
            self._hang_up()
            raise StackError(f"the queue {queue} does not answer: {error!r}") from error

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(pika.exceptions.AMQPError):
                self._connection.close()
            self._connection = None


def _refused(method: str, path: str, answers: list[str]) -> StackError:
    return StackError(f"the broker's management API refused {method} /api/{path}: {'; '.join(answers)}")


def _erlang(text: str) -> str:
    """A text as Erlang's source has it."""
    return json.dumps(text, ensure_ascii=False)


def _consumers(connection: pika.BlockingConnection, queue: str) -> int | None:
    """A queue's consumers; None where it is missing. Asked on a channel of its own, which a missing one closes."""
    channel = connection.channel()
    try:
        declared = channel.queue_declare(queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code == httpx.codes.NOT_FOUND:
            return None
        raise
    channel.close()
    return int(declared.method.consumer_count)
