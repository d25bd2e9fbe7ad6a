"""Where a command's runs live: in containers, or on the models where there is no engine or the models are asked for."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from parity.cli.show import Screen
from parity.errors import EngineError
from parity.run.entry import Runtime
from parity.stack.engine import engine
from parity.stack.reaper import reap


class On(enum.StrEnum):
    """What `--on` takes."""

    DOCKER = "docker"
    SIM = "sim"
    BOTH = "both"


OnOption = Annotated[
    On | None,
    typer.Option("--on", help="Containers, the simulator, or both; containers if there is an engine and none is said."),
]

ClusterOption = Annotated[
    str | None,
    typer.Option(envvar="RAY_ADDRESS", help="Where Ray's head is, such as ray://host:10001; here if not given."),
]


def runtimes_of(on: On | None, screen: Screen) -> tuple[Runtime, ...]:
    """The runtimes to run on, the simulator first: it answers at once.

    Args:
        on: What was asked for; None: containers, or the simulator where no engine answers, which is said.
        screen: Told where that is.
    """
    if on is None:
        missing = _missing_engine()
        if missing:
            screen.warn(
                f"{missing}. Running on the simulator instead: the verdicts speak of models in virtual time and prove "
                "nothing about RabbitMQ. Start an engine for that; with --on docker nothing takes its place."
            )
        on = On.SIM if missing else On.DOCKER
    runtimes: tuple[Runtime, ...] = ("sim", "docker")
    return tuple(runtime for runtime in runtimes if on in {runtime, On.BOTH})


def remove_leftovers(screen: Screen) -> None:
    """Remove what an earlier parity left, whatever ended it; nothing where there is no engine."""
    if _missing_engine():
        # The command says so itself, once it has read what it was given.
        return
    for line in reap():
        screen.progress(f"left over from an earlier run, removed: {line}")


def _missing_engine() -> str:
    """Why there is no engine; empty where there is one."""
    try:
        engine()
    except EngineError as error:
        return str(error).partition("\n")[0]
    return ""
