"""Scenarios as a Hypothesis strategy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity.errors import ParityError
from parity.run.spaces import space_of
from parity.scenario.properties import Properties
from parity.scenario.scenario import Scenario
from parity.sim.generate import generate

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def scenarios(
    stack: str = "compose/rabbitmq",
    *,
    root: Path | None = None,
    properties: Properties | None = None,
    without: Sequence[str] = (),
) -> SearchStrategy[Scenario]:
    """Drawn scenarios for a stack, which shrink towards one job and no step.

    Args:
        stack: The stack's name, as scenarios write it.
        root: Where relative names start; the working folder where None.
        properties: What they claim; what is safe to claim of anything where None.
        without: Kinds of steps to leave out; `group` for all that has an Auto Scaling group.

    Raises:
        ParityError: Hypothesis is not installed.
        SourceError: There is no such stack, its files are wrong, or the models do not cover it.
    """
    try:
        from hypothesis import strategies as st  # noqa: PLC0415  # an extra, which running scenarios does without

        from parity.sim.handover import HypothesisDraws  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ParityError(
            "parity.scenarios needs Hypothesis, which the extra `pytest` brings: pip install 'parity[pytest]'"
        ) from error
    space = space_of(stack, root=root, properties=properties, without=without)

    @st.composite
    def drawn(draw: Any) -> Scenario:
        return generate(HypothesisDraws(draw), space)

    return drawn()
