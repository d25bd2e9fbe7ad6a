"""A local double of a job-queue stack, and the checker that says how far it can be trusted."""

import importlib
from typing import Any

__version__ = "0.1.0"


def scenarios(stack: str = "compose/rabbitmq", **options: Any) -> Any:
    """A Hypothesis strategy of scenarios for a stack: `@given(parity.scenarios(stack="compose/rabbitmq"))`.

    Args:
        stack: The stack's name, as scenarios write it.
        **options: `root`, `properties` and `without`; see `parity.run.strategies.scenarios`.
    """
    # By name, when it is called: whoever imports parity needs neither Hypothesis nor the layers above.
    return importlib.import_module("parity.run.strategies").scenarios(stack, **options)
