"""What instances print, held against what they bring to their archive in S3."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from parity.history.events import Archived, Printed
from parity.run.recorder import Recorder

_WORD = 1 << 64


class Archive:
    """The lines that a run's instances printed.

    Args:
        recorder: The clock, and told what is archived.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        #: For each worker its lines: when each was seen, and what it was.
        self._printed: dict[str, list[tuple[int, int]]] = {}

    def lines(self, worker: str, texts: Iterable[str]) -> None:
        """A worker printed lines."""
        now_us = self._recorder.now_us()
        with self._lock:
            self._printed.setdefault(worker, []).extend((now_us, _hash(text)) for text in texts)

    def tell(self, ended: Mapping[str, str], objects: Mapping[str, bytes]) -> None:
        """Record what those that ended had printed, and what the archive has of it.

        Args:
            ended: Their instances' ids by the workers' names.
            objects: What is in the archive, by its key.
        """
        for worker, instance_id in ended.items():
            content = b"".join(body for key, body in objects.items() if key.startswith(f"{instance_id}/"))
            with self._lock:
                printed = self._printed.get(worker, [])
            self._tell(worker, printed, [_hash(line) for line in content.decode(errors="replace").split("\n")[:-1]])

    def _tell(self, worker: str, printed: list[tuple[int, int]], archived: list[int]) -> None:
        hashes = [one for _, one in printed]
        self._recorder.record(Printed, instance=worker, lines=len(hashes), digest=_digest(hashes))
        missing = missing_from(printed, archived)
        self._recorder.record(
            Archived,
            instance=worker,
            lines=len(archived),
            digest=_digest(archived),
            missing=len(missing),
            missing_since_us=min(missing, default=0),
        )


def missing_from(printed: Iterable[tuple[int, int]], archived: Iterable[int]) -> list[int]:
    """When those lines were printed that are not in the archive, by their hashes; a line counts as often as it is."""
    left = Counter(archived)
    missing = []
    for time_us, line in printed:
        if left[line]:
            left[line] -= 1
        else:
            missing.append(time_us)
    return missing


def _hash(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode(errors="replace"), digest_size=8).digest(), "big")


def _digest(hashes: Iterable[int]) -> str:
    # Standard output and standard error come in no order.
    return f"{sum(hashes) % _WORD:016x}"
