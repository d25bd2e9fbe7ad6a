"""Whether instances that a group terminates have finished what they had in hand.

    terminated   ended while its group had it on its way out; not one that a fault ended, or that ended by itself
    drained      terminated without a job in hand
    interrupted  in the hands of an instance that was terminated

Who has which job in hand is `parity.check.custody`'s to say. That an interrupted job is delivered again is judged by
`redelivered_within`, and that it is not lost by `no_job_lost`.
"""

from __future__ import annotations

from parity.check.custody import Custody
from parity.history.events import Fault, Instance, Lifecycle

#: Faults that end an instance, whatever its group was about to do with it.
_ENDING = frozenset({"kill", "stop", "restart", "out_of_memory"})


class Terminations:
    """The instances that a group has on its way out, with what they have in hand.

    Args:
        custody: Who has which job in hand.
    """

    def __init__(self, custody: Custody) -> None:
        self._custody = custody
        #: How many jobs each instance had in hand when its termination began.
        self.began_with: dict[str, int] = {}
        #: Which jobs each instance that was terminated had in hand at its end.
        self.ended_with: dict[str, set[int]] = {}
        self._out: set[str] = set()
        #: Instances that were told to stop, and the jobs that others got which these had in hand.
        self._stopping: set[str] = set()
        self._taken: dict[str, set[int]] = {}

    def lifecycle(self, event: Lifecycle) -> None:
        """An instance's lifecycle state changed."""
        leaving = event.state.startswith("Terminating") and event.instance not in self._out
        if leaving and event.instance not in self.began_with:
            self.began_with[event.instance] = len(self._custody.held_by(event.instance))
        if leaving and event.state != "Terminating:Wait":
            self._stopping.add(event.instance)

    def fault(self, event: Fault) -> None:
        """A fault moved on."""
        if event.kind in _ENDING and event.phase == "applying":
            self._out.update(event.on)

    def exited(self, event: Instance) -> None:
        """An instance ended."""
        if event.instance in self.began_with and event.instance not in self._out:
            self.ended_with[event.instance] = self._custody.held_by(event.instance)
        self._out.add(event.instance)

    def redelivered(self, job: int, holder: str) -> None:
        """A job that an instance had was delivered again: a broker may be sooner than the word of the end."""
        if holder in self._stopping and holder not in self._out:
            self._taken.setdefault(holder, set()).add(job)

    def acknowledged(self, job: int, instance: str) -> None:
        """An instance acknowledged a job that another has by now."""
        self._taken.get(instance, set()).discard(job)

    def interrupted(self, instance: str) -> set[int]:
        """The jobs that an instance's termination took from it; what it acknowledged after all is none of them."""
        after = self._custody.acknowledged_after
        had = self.ended_with[instance] | self._taken.get(instance, set())
        return {job for job in had if (job, instance) not in after}
