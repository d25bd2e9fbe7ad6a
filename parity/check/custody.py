"""Which instance holds which job, and which jobs a fault took their holder from."""

from __future__ import annotations


class Custody:
    """Who holds what.

    An instance holds a job from the job's delivery to it until it says that it acknowledged or rejected the job, or
    until the job is delivered again. A committed effect does not release the job: between the commit and the
    acknowledgement the broker still owes it to a worker.

    A held job is *orphaned* when its instance exits or an applied fault names the instance. Its next delivery
    ends that, and so does an acknowledgement by the same instance: a graceful stop lets the worker finish,
    and a line of the worker's log may be read after the engine has told of its exit.

    A broker may know of an end sooner than whoever tells of it: a job that is taken from an instance while a fault is
    being applied to it has waited no longer than since then.
    """

    def __init__(self) -> None:
        #: The instance that holds a job. An orphaned job stays here, under the instance that had it.
        self.holders: dict[int, str] = {}
        #: When a job was orphaned, in microseconds since the run began.
        self.orphans: dict[int, int] = {}
        #: Instances that exited and have not been seen since.
        self.gone: set[str] = set()
        #: Microseconds an orphaned job waited, and the job, in the order of redelivery.
        self.waits: list[tuple[int, int]] = []
        #: Orphaned jobs that their instance acknowledged after all, with that instance.
        self.acknowledged_after: set[tuple[int, str]] = set()
        #: Whether anybody ever said that a job was acknowledged.
        self.acknowledging = False
        #: How often an instance exited, or a fault was applied to anything.
        self.hits = 0
        self._healed: set[str] = set()
        #: Since when a fault is being applied to an instance.
        self._aimed_at: dict[str, int] = {}

    def aim(self, instance: str, t_us: int) -> None:
        """A fault is about to be applied to the instance."""
        self._aimed_at[instance] = t_us

    def missed(self, instance: str) -> None:
        """It could not be applied."""
        self._aimed_at.pop(instance, None)

    def hit(self, instance: str, t_us: int) -> None:
        """A fault took the instance away, or the instance exited.

        A second hit does not start a job's wait anew, unless the first was healed in between: then the
        instance was back with the job, and it is the second hit that took it away.
        """
        self._aimed_at.pop(instance, None)
        restarts = instance in self._healed
        self._healed.discard(instance)
        for job, holder in self.holders.items():
            if holder == instance and (restarts or job not in self.orphans):
                self.orphans[job] = t_us

    def heal(self, instance: str) -> None:
        """A fault that named the instance was healed."""
        self._healed.add(instance)

    def redelivered(self, job: int, worker: str, t_us: int) -> None:
        """The job was delivered again, to a worker."""
        since_us = self.orphans.pop(job, None)
        holder = self.holders.get(job)
        if since_us is None and holder != worker:
            since_us = self._aimed_at.get(holder or "")
        if since_us is not None:
            self.waits.append((t_us - since_us, job))

    def acknowledged(self, job: int, instance: str) -> None:
        """The instance an orphaned job was taken from acknowledged it after all."""
        del self.orphans[job]
        self.acknowledged_after.add((job, instance))

    def held_by(self, instance: str) -> set[int]:
        """The jobs that an instance holds."""
        return {job for job, holder in self.holders.items() if holder == instance}
