"""Tests marked `docker` are skipped by name where no engine answers, and fail in CI."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from parity.pytest_plugin.needs import need_engine

# Other tests run beside them: how long an example takes says nothing.
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker"):
        need_engine(item.nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file at a time, but all of `tests/alone` by one process, and of the scenarios those of each part by another."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith("tests/alone/"):
                return "tests/alone"
            file, _, test = nodeid.partition("::")
            if file == "tests/docker/test_scenarios.py" and (part := re.search(r"\[(\w+)", test)):
                return f"{file} {part[1]}"
            return file

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def _home_of_ray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ray keeps a token in the user's folder, and the process remembers it: one folder serves every test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def ray_home(_home_of_ray: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For a test that makes a cluster on this machine, and leaves the user's own folder alone."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'parity[ray]'")
    monkeypatch.setenv("HOME", str(_home_of_ray))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # A node of Ray that a test starts in this very process has SIGTERM exit at once, for every test after it.
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
