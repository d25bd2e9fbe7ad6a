"""A run's record on disk: everything needed to understand it and to run it again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from parity.check.faulted import faulted_s
from parity.errors import EngineError
from parity.history.file import read_history
from parity.scenario.scenario import Scenario
from parity.stack.engine import translated


class Record:
    """The folder of one run.

    Args:
        folder: Made here; must not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.history = folder / "history.jsonl"
        self.scenario = folder / "scenario.yaml"

    def write_json(self, name: str, data: Any) -> None:
        """Write a JSON file into the folder."""
        (self.folder / name).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def write_start(self, scenario: Scenario, facts: dict[str, Any]) -> None:
        """Write what is known before the run starts: kept even when the run dies."""
        self.scenario.write_text(scenario.to_yaml())
        self.write_json("run.json", facts)

    def faulted_s(self) -> float:
        """Seconds that the run was under fault, by its history; 0 where it broke off before it had one."""
        return faulted_s(read_history(self.history)) if self.history.exists() else 0.0

    def keep_logs(self, containers: dict[str, Container], *, since_s: int | None = None) -> None:
        """Write each container's log to a file of its name; one that cannot be read says why in its place."""
        folder = self.folder / "logs"
        folder.mkdir(exist_ok=True)

        def keep(item: tuple[str, Container]) -> None:
            name, container = item
            try:
                with translated(f"read the log of {name}"):
                    text = container.logs(since=since_s) if since_s else container.logs()
            except EngineError as error:
                text = str(error).encode()
            (folder / f"{name}.log").write_bytes(text)

        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(keep, containers.items()))


def new_record(out: Path, *, scenario: str, stack: str, seed: int) -> Record:
    """A fresh folder below `out`, named by time, scenario, stack and seed."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    variant = stack.rpartition("/")[2]
    return fresh_record(out, f"{stamp}-{scenario}-{variant}-{seed}")


def fresh_record(out: Path, base: str) -> Record:
    """A fresh folder below `out`, numbered where there is one of the name."""
    for number in range(1, 1000):
        folder = out / (base if number == 1 else f"{base}-{number}")
        try:
            return Record(folder)
        except FileExistsError:
            continue
    raise FileExistsError(base)
