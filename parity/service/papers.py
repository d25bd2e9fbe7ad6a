"""What passes on disk between `parity up` and the process that it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from parity.errors import RecordError
from parity.stack import attendant

_T = TypeVar("_T")
LOG = "log"
_GIVEN = "given.json"
_ADDRESS = "address.json"


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to attend.

    Args:
        stack: The stack's name, as `parity up` was given it.
        root: Where that name starts.
        stack_id: The running stack's id.
        images: For each image name of the compose file the reference used.
        labels: What everything of the stack carries.
        period_s: From one datapoint of a metric to the next.
        port: The port that is wanted on the loopback interface.
    """

    stack: str
    root: str
    stack_id: str
    images: dict[str, str]
    labels: dict[str, str]
    period_s: float
    port: int


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the endpoint answers.

    Args:
        pid: The process that does.
        port: On the loopback interface.
        url: What clients are given.
        region: The AWS region that it is.
    """

    pid: int
    port: int
    url: str
    region: str


def write_given(stack_folder: Path, given: Given) -> None:
    """Lay ready what the process is to attend."""
    _write(attendant.folder_of(stack_folder) / _GIVEN, given)


def read_given(stack_folder: Path) -> Given:
    """What the process is to attend.

    Raises:
        RecordError: It is not there, or not readable.
    """
    given = _read(attendant.folder_of(stack_folder) / _GIVEN, Given)
    if given is None:
        raise RecordError(f"nothing says what to attend in {stack_folder}")
    return given


def write_address(stack_folder: Path, address: Address) -> None:
    """Say where the endpoint answers."""
    _write(attendant.folder_of(stack_folder) / _ADDRESS, address)


def read_address(stack_folder: Path) -> Address | None:
    """Where the endpoint of a living process answers; None while there is none.

    Raises:
        RecordError: What is there is not readable.
    """
    if not attendant.is_attended(stack_folder):
        return None
    return _read(attendant.folder_of(stack_folder) / _ADDRESS, Address)


def last_port(stack_folder: Path) -> int | None:
    """The port that the last process had, so that the next one has it too; None where there was none."""
    address = _read(attendant.folder_of(stack_folder) / _ADDRESS, Address)
    return address.port if address else None


def forget_address(stack_folder: Path) -> None:
    """Say that nothing answers any more, or yet."""
    (attendant.folder_of(stack_folder) / _ADDRESS).unlink(missing_ok=True)


def _write(path: Path, paper: msgspec.Struct) -> None:
    # Whoever reads it finds all of it, or the one before.
    aside = path.with_suffix(".new")
    aside.write_bytes(msgspec.json.encode(paper))
    aside.rename(path)


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise RecordError(f"{path} cannot be read: {error}") from error
