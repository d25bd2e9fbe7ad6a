"""Histories that were recorded on containers against the contract, and against contracts that are wrong in one rule."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from contract_settings import settings_of

from parity.check.conformance import Conformance, conformance
from parity.check.coverage import Coverage, Shown, coverage_of, merge
from parity.check.verdict import Verdict
from parity.history.events import Delivery, Effect, Event, Fault, Instance, Node, Point, Submitted
from parity.model.contract import BRANCHES, Contract, Rules
from parity.model.settings import ModelSettings

HISTORIES = Path(__file__).parents[1] / "data" / "histories"
NAMES = sorted(folder.name for folder in HISTORIES.iterdir())


@cache
def recorded(name: str) -> tuple[ModelSettings, list[Event]]:
    folder = HISTORIES / name
    run = json.loads((folder / "run.json").read_text())
    scenario = yaml.safe_load((folder / "scenario.yaml").read_text())
    lines = gzip.decompress((folder / "history.jsonl.gz").read_bytes())
    events = msgspec.json.Decoder(Event).decode_lines(lines)
    return settings_of(run["stack"], scenario.get("settings")), events


@cache
def held_against(name: str, rules: Rules) -> Conformance:
    settings, events = recorded(name)
    return conformance(events, Contract(settings, rules))


@pytest.mark.parametrize("name", NAMES)
def test_the_real_stack_does_nothing_that_the_contract_forbids(name: str) -> None:
    found = held_against(name, Rules())
    assert (found.verdict, found.differences) == (Verdict.HOLDS, ())
    assert found.jobs >= 20


#: A contract that is wrong in one rule, a run that shows it, how many of its jobs differ, and the rules they break.
WRONG: list[tuple[str, Any, str]] = [
    ("redeliveries_flagged", False, "worker-killed-mid-job"),
    ("fetched_ahead_returns", False, "worker-stopped-gracefully"),
    ("exit_returns", False, "crashing-job"),
    ("lost_connection_returns", False, "connections-closed"),
    ("node_fault_returns", False, "queue-follower-killed"),
    ("reject_returns", False, "poison-job"),
    ("lost_connection_counts", False, "crashing-job"),
    ("limit_offset", -1, "poison-job"),
    ("limit_moves", False, "poison-job"),
    ("dead_letter_stays_queued", True, "poison-job"),
    ("confirm_means_done", True, "worker-killed-mid-job"),
    ("unknown_may_be_enqueued", False, "leader-hears-nothing"),
    ("unknown_may_be_absent", False, "clients-cut-off"),
    ("written_may_be_lost", False, "cluster-killed-while-publishing+no-confirms"),
    ("transient_may_be_lost", False, "cluster-killed-and-restarted+transient-messages"),
    ("mirror_may_lose", False, "mirror-added-late+classic-queue"),
    ("automatic_forgets", False, "worker-killed-mid-job+automatic-acknowledgement"),
    ("acknowledgement_may_be_lost", False, "clients-cut-off"),
    ("unfinished_may_be_lost", False, "worker-killed-after-acknowledging+acknowledgement-before-commit"),
    ("failed_may_be_lost", False, "connections-exhausted+acknowledges-what-it-cannot-commit"),
    ("failed_may_be_lost", False, "poison-job+drops-what-fails"),
    ("left_may_be_lost", False, "worker-stopped-gracefully+acknowledges-at-the-door"),
    ("late_acknowledgement", False, "worker-paused-past-its-lease"),
    ("effects_repeat", False, "worker-killed-before-acknowledging+non-idempotent-worker"),
]


@pytest.mark.parametrize(
    ("rule", "value", "name"), WRONG, ids=[f"{rule}={value}, {name}" for rule, value, name in WRONG]
)
def test_a_contract_that_is_wrong_in_one_rule_is_caught(rule: str, value: Any, name: str) -> None:
    found = held_against(name, Rules(**{rule: value}))
    assert found.verdict is Verdict.VIOLATED
    assert found.count == len(found.differences) > 0 or found.count > 100


def test_what_the_contracts_allow_and_these_runs_never_showed() -> None:
    total = merge(coverage_of(held_against(name, Rules()), Contract(recorded(name)[0])) for name in NAMES)
    assert total.runs == len(NAMES)
    never = {name: shown.runs_allowed for name, shown in total.never_shown().items()}
    assert never == {
        "effect.unannounced": 30,
        "end.queued": 30,
        "lost.dead-letter": 30,
        "delivery.stale": 29,
        "delivery.copy": 4,
    }
    # What none of these stacks allows.
    shown = {name for name, branch in total.branches.items() if branch.shown}
    assert sorted(BRANCHES.keys() - shown - never.keys()) == ["effect.gone", "lost.expired", "lost.limit"]


def test_coverage_is_kept_as_plain_data() -> None:
    one = coverage_of(held_against("poison-job", Rules()), Contract(recorded("poison-job")[0]))
    stored = json.loads(msgspec.json.encode(one))
    assert merge([stored, one]).branches["work.rejected"] == Shown(runs_allowed=2, runs_shown=2, shown=8)
    assert merge([]) == Coverage()


def tampered(name: str, change: Callable[[Event], Event | None]) -> list[str]:
    """The rules that a recorded history breaks once it is changed."""
    settings, events = recorded(name)
    changed = [after for event in events if (after := change(event)) is not None]
    return sorted({one.rule for one in conformance(changed, Contract(settings)).differences})


def test_without_its_faults_a_real_history_is_one_that_the_contract_forbids() -> None:
    def calm(event: Event) -> Event | None:
        return None if isinstance(event, Fault | Instance | Node) else event

    assert tampered("worker-killed-mid-job", calm) == ["custody.flag", "custody.one-holder"]
    assert tampered("clients-cut-off", calm) == ["custody.acknowledged", "submit.undisturbed"]
    assert tampered("cluster-killed-and-restarted+transient-messages", calm) == ["census.kept"]


def test_with_its_flags_turned_a_real_history_is_one_that_the_contract_forbids() -> None:
    def turned(event: Event) -> Event:
        if isinstance(event, Delivery):
            return msgspec.structs.replace(event, redelivered=not event.redelivered)
        return event

    # One delivery, the flag of which the death of another worker explains, is the last that was heard of its holder.
    assert tampered("worker-killed-mid-job", turned) == ["census.kept", "custody.flag"]


def test_without_an_effect_or_with_one_too_many_a_real_history_is_one_that_the_contract_forbids() -> None:
    def none(event: Event) -> Event | None:
        return None if isinstance(event, Effect) and event.job == 7 else event

    def two(event: Event) -> Event:
        return msgspec.structs.replace(event, count=2) if isinstance(event, Effect) and event.job == 7 else event

    for name in ("queue-leader-killed", "leader-isolated-in-a-minority", "worker-killed-mid-job"):
        assert tampered(name, none) == ["effect.stays"]
        assert tampered(name, two) == ["effect.once"]


@pytest.mark.parametrize("name", [name for name in NAMES if "+" not in name or "+quorum" in name])
def test_a_job_that_is_lost_is_no_less_so_for_the_faults_of_a_real_history(name: str) -> None:
    lost = next(event.job for event in recorded(name)[1] if isinstance(event, Submitted) and event.outcome == "ok")

    def silent(event: Event) -> Event | None:
        return None if isinstance(event, Delivery | Point | Effect) and event.job == lost else event

    assert tampered(name, silent) == ["census.kept"]
