"""A Ray cluster on this machine: what is sent there, what comes back, and how work there is interrupted."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from parity.cluster import Machine, RayCluster, Session
from parity.errors import ClusterError, ParityError


def files_there() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def setting_there() -> str | None:
    return os.environ.get("PARITY_IMAGE")


def refuse() -> None:
    raise ParityError("no")


def break_off() -> None:
    raise ValueError("what is this")


def repeat(receive, outbox) -> str:
    """Say what was received; say so too when it is interrupted, as somebody does who removes what he started."""
    outbox.put("ready")
    try:
        while (item := receive()) != "enough":
            outbox.put(item)
    except KeyboardInterrupt:
        outbox.put("unwound")
        return "interrupted"
    return "done"


@pytest.fixture
def made(ray_home, tmp_path, monkeypatch) -> RayCluster:
    """One machine, with a project of a few files."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setenv("PARITY_IMAGE", "mine:1")
    project = tmp_path / "project"
    for name in ("compose.yaml", ".env", ".gitignore", ".git/config", "out/run.json", "results/run.json", "a/out/b"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(".env\n")
    return RayCluster(workers=1, project=project, left_out=(project / "results",))


def next_said(cluster, outbox) -> str:
    said = cluster.receive(outbox, within_s=60)
    assert said is not None
    return said


def over(cluster: RayCluster, session: Session) -> str:
    nothing_comes = cluster.mailbox()
    while not cluster.ended([session]):
        cluster.receive(nothing_comes, within_s=0.1)
    return str(cluster.answer(session.work))


def test_a_machine_and_what_it_does(made, capsys):
    """One cluster for all of it, because making one takes longer than everything it is asked here."""
    with made as cluster:
        sys.stdout.write("as Ray prints that a machine is gone\n")
        assert capsys.readouterr().out == "", "only results go there"
        (machine,) = cluster.machines()
        check_answers(cluster, machine)
        check_sessions(cluster, machine)
    sys.stdout.write("a result\n")
    assert capsys.readouterr().out == "a result\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "what it does here is not Ray's to say"


def check_answers(cluster: RayCluster, machine: Machine) -> None:
    assert machine.processors == 1
    # The project is there, what compose takes its variables from too, and nothing of what earlier runs left.
    assert cluster.answer(cluster.ask(machine, files_there)) == [".env", ".gitignore", "a/out/b", "compose.yaml"]
    assert cluster.answer(cluster.ask(machine, setting_there)) == "mine:1"
    with pytest.raises(ParityError, match=r"^no$"):
        cluster.answer(cluster.ask(machine, refuse))
    with pytest.raises(ClusterError, match=r"^ValueError: what is this$"):
        cluster.answer(cluster.ask(machine, break_off))


def check_sessions(cluster: RayCluster, machine: Machine) -> None:
    outbox = cluster.mailbox()
    first = cluster.begin(machine, repeat, outbox)
    assert next_said(cluster, outbox) == "ready"
    first.send("hello")
    assert next_said(cluster, outbox) == "hello"
    # The machine is taken: a second session waits, and can be called off.
    second = cluster.begin(machine, repeat, outbox)
    cluster.interrupt(second)
    with pytest.raises(ClusterError):
        over(cluster, second)
    # One that waits in the middle of its work unwinds.
    cluster.interrupt(first)
    assert next_said(cluster, outbox) == "unwound"
    assert over(cluster, first) == "interrupted"
    third = cluster.begin(machine, repeat, outbox)
    third.send("enough")
    assert over(cluster, third) == "done"
    assert cluster.receive(outbox, within_s=1) == "ready"
    assert cluster.receive(outbox, within_s=0.1) is None


@pytest.mark.usefixtures("ray_home")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nobody_is_is_told_at_once(address):
    with pytest.raises(ClusterError, match=f"^no Ray cluster at {address}: .*refused"):
        RayCluster(address)
