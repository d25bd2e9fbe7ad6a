"""The AWS API alone, with instances on paper: `python -m parity.aws [--port PORT] [--state FOLDER] [--seed SEED]`.

For trying scripts where no containers are needed. It says where it is served, and ends with SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from parity.aws.controller import Controller, revive
from parity.aws.endpoint import Endpoint
from parity.aws.fleet import PaperFleet
from parity.aws.journal import Journal
from parity.aws.notifier import Notifier
from parity.aws.others import Others
from parity.aws.server import PORT, Server, loopback_socket
from parity.errors import ParityError
from parity.model.scaling.groups.zones import of_region
from parity.model.scaling.state import State
from parity.model.scaling.world import Input


def main(arguments: list[str]) -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(
        prog="python -m parity.aws", description="The AWS API alone, with instances on paper."
    )
    parser.add_argument("--port", type=int, default=PORT, help="or the next that is free; 0 for any")
    parser.add_argument("--state", type=Path, help="a folder to keep the state in; without it, nothing is kept")
    parser.add_argument("--seed", type=int, default=0, help="what ids and choices come from")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        folder = chosen.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-aws-")))
        try:
            server = stack.enter_context(_served(stack, folder, port=chosen.port, seed=chosen.seed))
        except ParityError as problem:
            parser.error(str(problem))
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        ended.wait()


def _served(stack: ExitStack, folder: Path, *, port: int, seed: int) -> Server:
    state = State(seed=seed, zones=of_region("us-east-1"))
    journal = Journal(folder)
    region, clock = revive(journal, lambda: state)
    others = Others(region.state.account_id, folder)
    stack.callback(others.close)
    notifier = Notifier(others)
    stack.callback(notifier.close)

    def tell(fact: Input) -> None:
        controller.tell(fact)

    controller = Controller(region, PaperFleet(tell), clock, journal, notify=notifier)
    stack.enter_context(controller)
    return Server(Endpoint(controller, others), [loopback_socket(port)])


if __name__ == "__main__":
    main(sys.argv[1:])
