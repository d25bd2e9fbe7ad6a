"""What a test needs of its machine: without a Docker engine it is skipped by name, and in CI it fails."""

from __future__ import annotations

import os
from functools import cache

import pytest

from parity.errors import EngineError
from parity.stack.engine import engine


def need_engine(test: str) -> None:
    """Skip a test by its name where no Docker engine answers; in CI, where one is part of the job, fail it.

    Args:
        test: The test's node id.
    """
    missing = _missing()
    if not missing:
        return
    reason = f"{test} needs a Docker engine: {missing}"
    if in_ci():
        pytest.fail(f"{reason}\nCI is set, so it counts as failed and is not skipped.", pytrace=False)
    pytest.skip(reason)


def in_ci() -> bool:
    """Whether this is a CI job, by the variable CI that every CI service sets."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


@cache
def _missing() -> str:
    """Why there is no engine; asked once, because an engine that does not answer takes its time over it."""
    try:
        engine()
    except EngineError as error:
        return str(error).partition("\n")[0]
    return ""
