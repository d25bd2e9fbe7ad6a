"""The attending process: `python -m parity.service FOLDER`. Started by `parity up`; SIGTERM ends it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from parity.errors import ParityError
from parity.service.attend import Attendant, wait_for_end
from parity.service.papers import read_given
from parity.stack import attendant

log = logging.getLogger("parity")


def main(folder: Path) -> int:
    """Attend the stack of a folder until told to end; exit status 2 where that cannot be done."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for talkative in ("httpx", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    ended = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: ended.set())
    with attendant.attending(folder) as mine:
        if not mine:
            log.warning("another process attends %s", folder)
            return 0
        try:
            with Attendant(read_given(folder), folder) as address:
                log.info("attending %s: the AWS API is at %s", folder.name, address.url)
                wait_for_end(ended, folder)
                log.info("ending")
        except ParityError as error:
            # Written for people: where it came from says nothing more.
            log.error("%s", error)  # noqa: TRY400
            return 2
    return 0


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    logging.shutdown()
    # What waits for an instance to stop would keep the interpreter; whoever ends this sees to the instances.
    os._exit(status)
