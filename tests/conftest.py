"""Tests marked `docker` are skipped by name where no engine answers, and fail in CI."""

import pytest

from parity.pytest_plugin.needs import need_engine


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker"):
        need_engine(item.nodeid)
