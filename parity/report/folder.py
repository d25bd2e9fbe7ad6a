"""Reading a record's folder, however little of it was written before the run died."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from parity.check.verdict import Finding, Tally, Verdict
from parity.errors import ParityError
from parity.report.data import Facts, Ruling
from parity.scenario.properties import Properties
from parity.scenario.scenario import load_scenario

_VIOLATED = "violated: "
_FILES_MAX = 200


def read_json(path: Path, gaps: list[str]) -> dict[str, Any]:
    """A JSON object, empty where it cannot be read; why is added to the gaps."""
    try:
        data = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        gaps.append(f"There is no {path.name}.")
        return {}
    except (OSError, ValueError) as error:
        gaps.append(f"{path.name} cannot be read: {error}.")
        return {}
    if not isinstance(data, dict):
        gaps.append(f"{path.name} is no JSON object.")
        return {}
    return data


def read_facts(folder: Path, gaps: list[str]) -> Facts:
    """What was known before the run started; unknown values are empty."""
    data = read_json(folder / "run.json", gaps)
    drawn = ""
    try:
        drawn = (folder / "scenario.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        gaps.append("There is no scenario.yaml.")
    images = data.get("images")
    seed = data.get("seed")
    return Facts(
        scenario=_text(data, "scenario") or folder.resolve().name,
        stack=_text(data, "stack"),
        runtime=_text(data, "runtime"),
        seed=seed if isinstance(seed, int) else None,
        started=_text(data, "started"),
        parity=_text(data, "parity"),
        about=_about(drawn),
        job_id=_text(data, "job_id"),
        again=_text(data, "again"),
        images=tuple((str(name), str(digest)) for name, digest in images.items()) if isinstance(images, dict) else (),
        drawn=drawn,
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return "" if value is None else str(value)


def _about(drawn: str) -> str:
    with contextlib.suppress(yaml.YAMLError):
        data = yaml.safe_load(drawn)
        if isinstance(data, dict):
            return " ".join(str(data.get("about") or "").split())
    return ""


def read_properties(folder: Path) -> Properties:
    """What was claimed; the defaults where the scenario cannot be read."""
    with contextlib.suppress(ParityError, OSError, ValueError):
        return load_scenario(folder / "scenario.yaml").properties
    return Properties()


def read_ruling(folder: Path, tally: Tally, gaps: list[str]) -> Ruling:
    """The verdict as it was written, or that there is none.

    Args:
        folder: The record's.
        tally: What the history comes to, for a record without a verdict.
        gaps: Told what is missing.
    """
    data = read_json(folder / "verdict.json", gaps)
    findings = _converted(data.get("findings"), tuple[Finding, ...]) or ()
    written = _converted(data.get("tally"), Tally)
    verdict = _converted(data.get("verdict"), Verdict)
    if data and verdict is None:
        gaps.append("verdict.json names no verdict.")
    expected = _text(data, "expected")
    violated = expected.removeprefix(_VIOLATED).split(", ") if expected.startswith(_VIOLATED) else []
    seconds = data.get("seconds")
    return Ruling(
        judged=verdict is not None,
        verdict=verdict or Verdict.UNKNOWN,
        expected=expected,
        expected_violated=tuple(violated),
        as_expected=data.get("as_expected") is True,
        error=_text(data, "error"),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        findings=findings,
        tally=written or tally,
    )


def _converted(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def read_files(folder: Path) -> tuple[tuple[str, int], ...]:
    """The record's files, the logs last; the report itself is none of them."""
    found = [path for pattern in ("*", "logs/*") for path in sorted(folder.glob(pattern)) if path.is_file()]
    names = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in found]
    return tuple((name, size) for name, size in names if name not in {"report.html", "junit.xml"})[:_FILES_MAX]
