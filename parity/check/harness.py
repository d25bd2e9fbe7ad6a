"""The harness: a run whose faults were not real, or whose workload was not there, says nothing."""

from __future__ import annotations

from parity.check.accounts import deliveries, is_done, is_ok
from parity.check.findings import HOLDS, UNKNOWN, finding
from parity.check.ledger import Ledger
from parity.check.verdict import Finding
from parity.scenario.properties import Properties


def _unproved(ledger: Ledger) -> list[str]:
    """Faults that failed, or began without being applied and proved as often as they began."""
    phases, told = ledger.fault_phases, []
    for fault, label in sorted(ledger.fault_names.items()):
        began = phases[fault, "applying"]
        if phases[fault, "failed"]:
            told.append(f"fault {fault} ({label}) failed")
        elif phases[fault, "applied"] < began:
            told.append(f"fault {fault} ({label}) was never applied")
        elif phases[fault, "proved"] < max(began, phases[fault, "applied"]):
            told.append(f"fault {fault} ({label}) was never proved")
    return told


def not_vacuous(ledger: Ledger, properties: Properties) -> Finding:
    """Enough jobs were submitted ok, some of them were worked on, and every fault was real.

    A vacuous run is unknown, not violated: nothing is wrong with the stack that anybody could tell.
    """
    name = "not_vacuous"
    ok, wanted = ledger.accounts.count(is_ok), properties.not_vacuous
    reasons = _unproved(ledger)
    if ok < wanted:
        reasons.insert(0, f"{ok} jobs were submitted ok, fewer than {wanted}")
    elif not ledger.accounts.count(lambda account: is_done(account) or deliveries(account) > 0):
        reasons.insert(0, "no job was ever delivered or done")
    if reasons:
        return finding(name, UNKNOWN, "; ".join(reasons))
    proved = sum(count for (_, phase), count in ledger.fault_phases.items() if phase == "proved")
    return finding(
        name,
        HOLDS,
        f"{ok} jobs were submitted ok, and {proved} fault{'s were' if proved != 1 else ' was'} applied and proved",
    )
