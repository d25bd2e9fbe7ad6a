"""From a record's folder to a report's data: two passes over the history, neither of which holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from parity.check.accounts import EFFECT, OK
from parity.check.judge import tally
from parity.check.ledger import Ledger
from parity.check.lives import lives
from parity.check.verdict import Verdict
from parity.errors import RecordError
from parity.history.events import Event
from parity.history.file import read_history
from parity.report.data import Group, Kind, Life, Ruling, RunReport
from parity.report.folder import read_facts, read_files, read_properties, read_ruling
from parity.report.groups import find_groups, find_redelivered
from parity.report.stories import Storyteller
from parity.report.timeline import TimelineBuilder

_EXAMPLES = 2
_CANDIDATES = 12


def gather(folder: Path) -> RunReport:
    """Everything a report of a run tells.

    Args:
        folder: The record's; whatever is missing or torn is said in the report's gaps.
    """
    gaps: list[str] = []
    facts = read_facts(folder, gaps)
    bound_s = read_properties(folder).drained_within
    ledger = Ledger(drained_within_us=None if bound_s is None else round(bound_s * 1e6))
    builder = TimelineBuilder()
    history = folder / "history.jsonl"
    ledger.fold(_seen(_readable(history, gaps), builder))
    timeline = builder.build()
    if ledger.truncated:
        gaps.append(_truncation(timeline.end_us))
    ruling = read_ruling(folder, tally(ledger), gaps)
    groups = find_groups(ledger, ruling.findings)
    redelivered = find_redelivered(ledger)
    wanted = dict.fromkeys(job for group in groups for job in group.told)
    candidates = _candidates(ledger, ruling, redelivered, set(wanted))
    told = lives(_readable(history, []), {*wanted, *candidates})
    storyteller = Storyteller(timeline, job_id=facts.job_id, ledger=ledger)
    kind: Kind = "redelivered" if redelivered.total else "usual"
    return RunReport(
        facts=facts,
        ruling=ruling,
        timeline=timeline,
        groups=groups,
        lives=tuple(_tell(storyteller, job, told[job], groups, ruling) for job in wanted),
        redelivered=redelivered,
        examples=_most_telling(storyteller.tell(job, told[job], (kind,)) for job in candidates),
        gaps=tuple(gaps),
        files=read_files(folder),
    )


def _readable(path: Path, gaps: list[str]) -> Iterator[Event]:
    """The events up to the first that cannot be read; why is added to the gaps."""
    try:
        yield from read_history(path)
    except RecordError as error:
        gaps.append("There is no history.jsonl." if not path.exists() else f"The history ends early: {error}")


def _seen(events: Iterable[Event], builder: TimelineBuilder) -> Iterator[Event]:
    for event in events:
        builder.see(event)
        yield event


def _truncation(end_us: int) -> str:
    return (
        f"The history stops after {end_us / 1e6:.1f} s, before the run's end: the run died, or is still going on. "
        "The figures count what was recorded until then."
    )


def _tell(storyteller: Storyteller, job: int, events: list[Event], groups: tuple[Group, ...], ruling: Ruling) -> Life:
    kinds = [group.kind for group in groups if job in group.told]
    witness_of = [
        finding.property
        for finding in ruling.findings
        if finding.verdict is not Verdict.HOLDS and job in finding.witnesses
    ]
    return storyteller.tell(job, events, kinds, witness_of)


def _candidates(ledger: Ledger, ruling: Ruling, redelivered: Group, told: set[int]) -> tuple[int, ...]:
    """Jobs that may serve as examples where everything held: done, and not told of anyway."""
    if ruling.verdict is not Verdict.HOLDS:
        return ()
    jobs = ruling.tally.ok + ruling.tally.unknown + ruling.tally.refused
    spread = (jobs * part // _CANDIDATES for part in range(_CANDIDATES))
    chosen = redelivered.told if redelivered.total else sorted(set(spread))
    return tuple(job for job in chosen if job not in told and ledger.accounts[job] & (OK | EFFECT) == OK | EFFECT)


def _most_telling(lives: Iterable[Life]) -> tuple[Life, ...]:
    """Of some lives those in which most befell the holder, then most happened around, then the shortest."""

    def dullness(life: Life) -> tuple[int, int, int, int]:
        roles = Counter(line.role for line in life.lines)
        return (-roles["holder"], -roles["around"], len(life.lines), life.job)

    chosen = sorted((life for life in lives if life.lines), key=dullness)[:_EXAMPLES]
    return tuple(sorted(chosen, key=lambda life: life.job))
