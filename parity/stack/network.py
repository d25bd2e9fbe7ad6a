"""Breaking a container's network from inside its network namespace.

Rules and queueing disciplines live in the container's own namespace, put there by a short-lived helper that
joins it: nothing is left on the host, and whatever parity forgets dies with the container.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import docker.errors
from docker.models.containers import Container

from parity.errors import EngineError, FaultError
from parity.stack import owner
from parity.stack.engine import engine, translated

TABLE = "parity"
#: Marks the packets of the delaying proxy, so that they are not sent to it again.
PROXY_MARK = 0x70
PROXY_PORT = 15999
#: Inside the helper, which lives for one command.
_RULES = "/rules"

_tools_reference: list[str] = []


def use_tools(reference: str) -> None:
    """Say which image has the network tools; known once a stack's images are there."""
    _tools_reference[:] = [reference]


def _in_namespace(container: Container, command: list[str], stdin_script: str = "") -> str:
    """Run a command of the tools image in a container's network namespace.

    Returns:
        Its standard output.

    Raises:
        FaultError: It failed; carries what it printed on standard error.
    """
    script = f"cat > {_RULES} <<'END'\n{stdin_script}\nEND\nexec {' '.join(command)}" if stdin_script else ""
    labels = _own_labels(container)
    try:
        with translated(f"reach into the network of {container.name}"):
            output = engine().containers.run(
                _tools_reference[0],
                ["sh", "-c", script] if script else command,
                network_mode=f"container:{container.id}",
                cap_add=["NET_ADMIN"],
                labels=labels | {owner.LABEL_ROLE: "tools"},
                remove=True,
            )
    except Exception as error:
        cause = error.__cause__
        if isinstance(cause, docker.errors.ContainerError):
            text = cause.stderr.decode(errors="replace") if isinstance(cause.stderr, bytes) else str(cause.stderr)
            raise FaultError(f"{command[0]} in the network of {container.name}: {text.strip()[-400:]}") from error
        raise
    return bytes(output).decode(errors="replace")


def subnet(name: str) -> tuple[str, str]:
    """A network's address range and its gateway, which is the host."""
    with translated(f"inspect the network {name}"):
        settings = engine().networks.get(name).attrs["IPAM"]["Config"][0]
    return str(settings["Subnet"]), str(settings["Gateway"])


def drop(
    container: Container,
    *,
    addresses: list[str],
    spared: list[str] | None = None,
    incoming: bool = True,
    outgoing: bool = True,
) -> None:
    """Drop every packet to or from these addresses, silently, as a cut cable does.

    Args:
        container: Whose packets.
        addresses: Addresses or ranges.
        spared: Addresses within them that still get through.
        incoming: Drop what comes in.
        outgoing: Drop what goes out.
    """
    chains = []
    for wanted, hook, field in ((incoming, "input", "ip saddr"), (outgoing, "output", "ip daddr")):
        if wanted:
            unless = f"{field} != {{ {', '.join(spared)} }} " if spared else ""
            chains.append(_chain(hook, f"{field} {{ {', '.join(addresses)} }} {unless}counter drop"))
    _load(container, chains)


def lose(container: Container, *, percent: int) -> None:
    """Drop a share of the packets that come in, at random; loopback is spared."""
    # The kernel refuses a comparison that always holds.
    share = f"numgen random mod 100 < {percent} " if percent < 100 else ""
    _load(container, [_chain("input", f'iifname != "lo" {share}counter drop')])


def redirect(container: Container, *, ports: list[int]) -> None:
    """Send new TCP connections to or from these ports through the proxy in the same namespace."""
    listed = ", ".join(map(str, ports))
    rule = f"tcp dport {{ {listed} }} meta mark != {PROXY_MARK} counter redirect to :{PROXY_PORT}"
    incoming = f"chain prerouting {{ type nat hook prerouting priority -100; {rule}; }}"
    outgoing = f'chain output {{ type nat hook output priority -100; oifname != "lo" {rule}; }}'
    _load(container, [incoming, outgoing], family="ip")


def throttle(container: Container, *, kbit: int) -> None:
    """Limit what the container sends, by the kernel's token bucket."""
    burst_bytes = max(1600, kbit * 1000 // 8 // 50)
    command = ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{kbit}kbit"]
    _in_namespace(container, [*command, "burst", str(burst_bytes), "latency", "500ms"])


def delay(container: Container, *, delay_ms: int) -> None:
    """Delay what the container sends, by the kernel's netem."""
    _in_namespace(container, ["tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", f"{delay_ms}ms"])


def make_proxy(container: Container, *, delay_ms: int) -> Container:
    """Create (not start) the delaying proxy in a container's network namespace; it prints `listening`."""
    labels = _own_labels(container)
    with translated(f"create the delaying proxy of {container.name}"):
        made: Container = engine().containers.create(
            _tools_reference[0],
            ["python3", "/proxy.py", str(PROXY_PORT), str(PROXY_MARK), str(delay_ms)],
            network_mode=f"container:{container.id}",
            cap_add=["NET_ADMIN"],
            labels=labels | {owner.LABEL_ROLE: "proxy"},
        )
    return made


def caught(container: Container) -> int:
    """How many packets the rules have caught so far."""
    return counted(json.loads(_in_namespace(container, ["nft", "-j", "list", "ruleset"])))


def queued(container: Container) -> str:
    """The queueing discipline of the container's interface, with its statistics."""
    return _in_namespace(container, ["tc", "-s", "qdisc", "show", "dev", "eth0"]).strip()


def held_back(container: Container) -> int:
    """How many packets the token bucket has made wait."""
    return overlimits(queued(container))


def overlimits(shown: str) -> int:
    """How often a token bucket was empty, from what `tc -s qdisc` shows; 0 where there is none."""
    found = re.search(r"^qdisc tbf .*\n.*overlimits (\d+)", shown, re.MULTILINE)
    return int(found[1]) if found else 0


def clear(container: Container) -> None:
    """Take every rule and discipline of ours away again; none being there is no error."""
    script = "\n".join(
        [
            "#!/bin/sh",
            f"for family in inet ip; do nft delete table $family {TABLE} 2>/dev/null; done",
            "tc qdisc del dev eth0 root 2>/dev/null",
            "exit 0",
        ]
    )
    _in_namespace(container, ["sh", _RULES], stdin_script=script)


@cache
def kernel_has_netem(container: Container) -> bool:
    """Whether the kernel can delay packets; tried in a namespace of its own, for a stack that has this container."""
    command = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    labels = _own_labels(container) | {owner.LABEL_ROLE: "tools"}
    try:
        with translated("ask the kernel for netem"):
            engine().containers.run(
                _tools_reference[0],
                command,
                network_mode="none",
                cap_add=["NET_ADMIN"],
                labels=labels,
                remove=True,
            )
    except EngineError:
        return False
    return True


def _own_labels(container: Container) -> dict[str, str]:
    """The labels by which the reaper finds what belongs to the container's stack and run."""
    return {key: value for key, value in container.labels.items() if key.startswith(owner.LABEL)}


def _chain(hook: str, rule: str) -> str:
    return f"chain {hook} {{ type filter hook {hook} priority -10; {rule}; }}"


def _load(container: Container, chains: list[str], *, family: str = "inet") -> None:
    body = "\n".join(chain.replace("; ", ";\n") for chain in chains)
    _in_namespace(container, ["nft", "-f", _RULES], stdin_script=f"table {family} {TABLE} {{\n{body}\n}}")


def counted(ruleset: dict[str, Any]) -> int:
    """How many packets parity's own rules counted; the engine has counters of its own in every container."""
    rules = [item["rule"] for item in ruleset["nftables"] if "rule" in item]
    return sum(
        int(expression["counter"]["packets"])
        for rule in rules
        if rule["table"] == TABLE
        for expression in rule["expr"]
        if isinstance(expression.get("counter"), dict)
    )
