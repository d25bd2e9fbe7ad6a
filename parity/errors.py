"""Everything parity raises on purpose.

    ParityError
    ├── SourceError              a file parity was given is wrong: scenario, compose file, x-parity section
    │   └── ModelError           it says what the models do not cover, or too little for them
    ├── EngineError              the Docker engine is missing, too old, or refused
    │   └── ImageError           an image can be neither found, pulled nor built
    ├── StackError               a service of the stack did not do what it was asked
    │   ├── NotReadyError        a state was awaited and did not come in time
    │   └── SubmitError          the submit command hangs, dies or prints what it must not
    ├── ClusterError             a cluster, or a machine of it, is not there or did not do what it was asked
    ├── ServiceError             a call of the AWS API is refused, as AWS refuses it
    ├── CancelledError           a run was told to end before it was over
    ├── FaultError               a fault could not be applied, proved or healed
    ├── RecordError              a history or record cannot be read
    └── SimulationError          a simulated run broke off
        └── DeterminismError     a simulated run was not what it had been

A violated property is a result, never an exception.
"""

from __future__ import annotations


class ParityError(Exception):
    """Base of everything parity raises on purpose; its text is written for the person at the terminal."""


class SourceError(ParityError):
    """A file parity was given is wrong.

    Args:
        message: What was expected and what was found.
        file: Path as the user gave it.
        line: 1-based line, 0 where the whole file is meant.
        column: 1-based column, 0 where the whole line is meant.
    """

    def __init__(self, message: str, *, file: str, line: int = 0, column: int = 0) -> None:
        place = file
        if line:
            place += f":{line}"
            if column:
                place += f":{column}"
        super().__init__(f"{place}: {message}")
        self.message = message
        self.file = file
        self.line = line
        self.column = column


class ModelError(SourceError):
    """A stack or scenario says what the models do not cover, or too little for them; containers run it all the same."""


class EngineError(ParityError):
    """The Docker engine is missing, too old, or refused a request."""


class ImageError(EngineError):
    """An image can be neither found, pulled nor built."""


class StackError(ParityError):
    """A service of the stack did not do what it was asked."""


class NotReadyError(StackError):
    """A state was awaited and did not come in time.

    Args:
        awaited: The state, as a noun phrase.
        waited_s: How long was waited.
        last: The last state seen.
        hint: What the user can do or look at.
    """

    def __init__(self, awaited: str, *, waited_s: float, last: str, hint: str = "") -> None:
        text = f"{awaited} did not come within {waited_s:.0f} s; last seen: {last}"
        super().__init__(f"{text}\n{hint}" if hint else text)
        self.awaited = awaited
        self.waited_s = waited_s
        self.last = last


class SubmitError(StackError):
    """The submit command hangs, dies or prints what it must not."""


class ServiceError(ParityError):
    """A call of the AWS API is refused.

    Args:
        code: AWS's code, such as `ValidationError`.
        message: AWS's words.
        status: HTTP's.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ClusterError(ParityError):
    """A cluster, or a machine of it, is not there or did not do what it was asked."""


class CancelledError(ParityError):
    """A run was told to end before it was over."""


class FaultError(ParityError):
    """A fault could not be applied, proved or healed."""


class RecordError(ParityError):
    """A history or record cannot be read."""


class SimulationError(ParityError):
    """A simulated run broke off: a defect of the models, or of the simulator."""


class DeterminismError(SimulationError):
    """A simulated run, done again with the same choices, was not what it had been."""
