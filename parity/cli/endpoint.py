"""Commands for the AWS endpoint of a kept stack: env and clock."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from parity.cli.show import Screen
from parity.scenario.duration import parse_duration_s
from parity.service.asked import ask, the_attended

#: Nobody checks it; clients only insist on having one.
KEY = "parity"
#: A journey in time goes from one moment when something is due to the next, and containers take real time.
_JOURNEY_S = 24 * 3600.0
KeptName = Annotated[str, typer.Option("--stack", help="Which kept stack, where there are several.")]


class Action(StrEnum):
    """What `parity clock` does."""

    SHOW = "show"
    ADVANCE = "advance"


def env(*, stack: KeptName = "") -> None:
    """Print what points AWS tools at a kept stack: eval "$(parity env)"."""
    _, address = the_attended(stack)
    values = {
        "AWS_ENDPOINT_URL": address.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": address.region,
        "AWS_REGION": address.region,
        # Tools that were made for LocalStack look here; older ones want the port by itself.
        "LOCALSTACK_HOST": f"127.0.0.1:{address.port}",
        "EDGE_PORT": str(address.port),
    }
    sys.stdout.write("".join(f"export {name}={value}\n" for name, value in values.items()))


def clock(
    action: Annotated[Action, typer.Argument(help="Set it forward, or only show it.")] = Action.SHOW,
    duration: Annotated[str, typer.Argument(help="How far: 90s, 15m, 1h, 7d.")] = "",
    *,
    stack: KeptName = "",
) -> None:
    """Show a kept stack's AWS time, or set it forward: what is due until then happens, in its order."""
    if (action is Action.ADVANCE) != bool(duration):
        raise typer.BadParameter("expected `parity clock` or `parity clock advance DURATION`")
    duration_s = _duration_s(duration) if duration else 0.0
    _, address = the_attended(stack)
    if action is Action.SHOW:
        told = ask(address, "clock")
    else:
        told = ask(address, "clock", body={"advance_s": duration_s}, within_s=_JOURNEY_S)
    Screen().say([f"{told['now']}, {round(told['offset_s'])} s ahead"])


def _duration_s(text: str) -> float:
    days, d, rest = text.partition("d")
    try:
        if d and not rest:
            return 24 * parse_duration_s(f"{days}h")
        return parse_duration_s(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
