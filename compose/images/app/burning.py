"""Work that takes processor time."""

import hashlib
import time

#: Hashed in a tenth of a millisecond or so.
BLOCK = bytes(1 << 16)


def burn(processor_s: float) -> None:
    """Use up processor time of this thread, however long that takes."""
    over_s = time.thread_time() + processor_s
    while time.thread_time() < over_s:
        # Without the interpreter's lock, so that heartbeats are answered meanwhile.
        hashlib.sha256(BLOCK).digest()
