"""Where a real stack is known to break a rule of the contract: data, each with its source and the version.

A difference that a deviation explains is counted apart, under the deviation's id. It belongs here only when the
contract says what should be and the stack will not do it; what the stack does by design belongs in the contract.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """A rule that a real stack breaks."""

    id: str
    #: What the stack does.
    says: str
    #: Where that is documented or reported.
    source: str
    #: The version it was seen on.
    observed: str
    #: The rule of the contract that it breaks.
    rule: str
    #: The queue types it concerns.
    queue_types: tuple[str, ...] = ("quorum", "classic")


#: None was needed so far.
DEVIATIONS: tuple[Deviation, ...] = ()
