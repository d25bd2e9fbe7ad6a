"""Kept stacks as their attending processes tell of them, for commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from parity.errors import StackError
from parity.service.papers import LOG, Address, read_address
from parity.stack import attendant, owner
from parity.stack.kept import kept_stacks, name_of

_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A kept stack.

    Args:
        stack_id: Its id.
        name: As it was brought up.
        folder: Where what belongs to it is on disk.
        address: Where its endpoint answers; None where nothing does.
    """

    stack_id: str
    name: str
    folder: Path
    address: Address | None

    @property
    def log(self) -> Path:
        """What the attending process wrote."""
        return attendant.folder_of(self.folder) / LOG


def kept(name: str = "") -> list[Kept]:
    """Kept stacks of a name; all of them if it is empty."""
    found = []
    for stack_id, labels in kept_stacks().items():
        if name in {"", name_of(labels)}:
            folder = Path(labels[owner.LABEL_LOCK]).parent
            address = read_address(folder) if folder.is_dir() else None
            found.append(Kept(stack_id=stack_id, name=name_of(labels), folder=folder, address=address))
    return found


def the_attended(name: str = "") -> tuple[Kept, Address]:
    """The one kept stack of a name that has an endpoint.

    Raises:
        StackError: There is none, or several.
    """
    found = kept(name)
    answering = [(one, one.address) for one in found if one.address is not None]
    if len(answering) == 1:
        return answering[0]
    if answering:
        raise StackError(f"several stacks are kept, name one: {', '.join(sorted(one.name for one, _ in answering))}")
    if found:
        raise StackError(f"nothing answers for {found[0].name}: `parity up {found[0].name}` starts its endpoint again")
    raise StackError(f"no stack {name} is kept" if name else "no stack is kept; `parity up` brings one up")


def ask(address: Address, name: str, *, body: Any = None, within_s: float = _TIMEOUT_S) -> Any:
    """Ask an endpoint something of parity's own, or with a body have it do it.

    Args:
        address: Where it answers.
        name: Such as `status`.
        body: What is to be done, as JSON has it.
        within_s: How long it may take.

    Raises:
        StackError: It does not answer, or refuses.
    """
    method = "GET" if body is None else "POST"
    try:
        answer = httpx.request(method, f"{address.url}/_parity/{name}", json=body, timeout=within_s)
    except httpx.HTTPError as error:
        raise StackError(f"the endpoint at {address.url} does not answer: {error or type(error).__name__}") from error
    if answer.is_success:
        return answer.json()
    try:
        said = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        said = answer.text.strip()
    raise StackError(f"the endpoint at {address.url} refuses: {said}")
