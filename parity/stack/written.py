"""What the compose files say of a service, each thing with its place, and merged as the compose tool merges it.

For what the files must say without a compose tool. Containers are made from what the tool itself merged.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.errors import ModelError, SourceError
from parity.scenario.source import Place
from parity.stack.description import StackFiles, sources_of

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?-)(?P<default>[^${}]*))?\})"
)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A text, its variables filled in, and where it is written.

    Args:
        text: What the service gets to see.
        layer: Which of the stack's files says it: 0 is the base, an overlay comes after it.
    """

    text: str
    file: str
    line: int
    column: int
    layer: int = 0

    def error(self, message: str, kind: type[SourceError] = SourceError) -> SourceError:
        """An error about it."""
        return kind(message, file=self.file, line=self.line, column=self.column)

    @property
    def where(self) -> str:
        """File, line and column."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Something of the host's in a container.

    Args:
        path: Where it is on the host.
        shown: What messages call it.
        written: Where the files say so.
    """

    path: Path
    shown: str
    written: Written


class Sources:
    """A stack's compose files, the base first, and the variables that are filled in.

    Args:
        files: The stack.
        variables: What `$NAME` stands for; the process's environment over the folder's `.env` where None.
    """

    def __init__(self, files: StackFiles, variables: Mapping[str, str] | None = None) -> None:
        self.folder = files.folder
        self._folder_shown = files.name.partition("+")[0]
        self.layers = sources_of(files)
        self._variables = _dotenv(files.folder) | dict(os.environ if variables is None else variables)

    def stated(self, place: Place) -> list[tuple[int, Any]]:
        """What the files say at a place: layer and value, the base's first."""
        found = []
        for layer, source in enumerate(self.layers):
            value: Any = source.data
            for part in place:
                parts = dict(enumerate(value)) if isinstance(value, list) else value
                value = parts.get(part, _NOTHING) if isinstance(parts, dict) else _NOTHING
            if value is not _NOTHING:
                found.append((layer, value))
        return found

    def written(self, place: Place, layer: int, text: Any = "") -> Written:
        """What one file says at a place."""
        source = self.layers[layer]
        line, column = source.position(place, key=isinstance(text, dict))
        return Written(text=_text(text), file=source.file, line=line, column=column, layer=layer)

    def last(self, place: Place) -> Written:
        """A place in the file that has the last word on it, or on what is around it."""
        while place and not self.stated(place):
            place = place[:-1]
        layer, value = self.stated(place)[-1]
        return self.written(place, layer, value)

    def filled_in(self, place: Place, layer: int, text: Any) -> Written:
        """What one file says at a place, with its variables filled in."""
        return self._fill_in(self.written(place, layer, text))

    def variable(self, name: str) -> str | None:
        """What a variable stands for."""
        return self._variables.get(name)

    def mount(self, path: Path, written: Written) -> Mount:
        """A path of the host's, relative to the stack's folder or absolute."""
        path = Path(os.path.normpath(self.folder / path.expanduser()))
        below = path.is_relative_to(self.folder)
        shown = Path(self._folder_shown) / path.relative_to(self.folder) if below else path
        return Mount(path=path, shown=str(shown), written=written)

    def _fill_in(self, written: Written) -> Written:
        def fill(found: re.Match[str]) -> str:
            if found["dollar"]:
                return "$"
            value = self._variables.get(found["bare"] or found["name"])
            if value is None or (value == "" and found["how"] == ":-"):
                return found["default"] or ""
            return value

        rest = _VARIABLE.sub("", written.text)
        if "$" in rest:
            raise written.error(
                f"cannot be filled in without the compose tool: {written.text!r}; "
                "expected $NAME, ${NAME}, ${NAME-text} or ${NAME:-text}, and $$ for a dollar sign"
            )
        return Written(**(vars(written) | {"text": _VARIABLE.sub(fill, written.text)}))


class Service:
    """One service, as all files together state it.

    Raises:
        ModelError: It takes something from where parity does not look, and without it the models would guess.
    """

    def __init__(self, sources: Sources, name: str) -> None:
        self.name = name
        self._sources = sources
        self._refuse("extends", "write the service out")

    @property
    def place(self) -> Place:
        """Where it stands in the files."""
        return ("services", self.name)

    def variable(self, name: str) -> Written | None:
        """A variable of its environment. One without a value is the user's own, and None where the user has none."""
        variable: Written | None = None
        for layer, given in self._stated("environment"):
            for at, found, value in _entries(given):
                place = self._at("environment", at)
                if found == name and value is not None:
                    variable = self._sources.filled_in(place, layer, value)
                elif found == name:
                    own = self._sources.variable(name)
                    variable = None if own is None else self._sources.written(place, layer, own)
        if variable is None:
            self._refuse("env_file", f"state {name} in `environment`")
        return variable

    def command(self) -> list[tuple[str, Written]]:
        """The words of its command, each with its place."""
        stated = self._stated("command")
        if not stated or stated[-1][1] is None:
            return []
        layer, value = stated[-1]
        if isinstance(value, list):
            listed = [
                self._sources.filled_in(self._at("command", index), layer, word) for index, word in enumerate(value)
            ]
            return [(word.text, word) for word in listed]
        written = self._sources.filled_in(self._at("command"), layer, value)
        return [(word, written) for word in shlex.split(written.text)]

    def value(self, *keys: str) -> Written | None:
        """A simple value, under a key or below several."""
        stated = self._sources.stated((*self.place, *keys))
        return self._sources.filled_in(self._at(*keys), *stated[-1]) if stated else None

    def mounts(self) -> dict[str, Mount]:
        """What of the host's is mounted, by the path in the container."""
        self._refuse("configs", "mount the files with `volumes`")
        mounts: dict[str, Mount] = {}
        for layer, volumes in self._stated("volumes"):
            for index, volume in enumerate(volumes or []):
                place = self._at("volumes", index)
                fields = volume if isinstance(volume, dict) else _short_volume(volume)
                source, target = (
                    self._sources.filled_in(place, layer, fields.get(key, "")) for key in ("source", "target")
                )
                if source.text.startswith(("/", ".", "~")):
                    mounts[target.text.rstrip("/")] = self._sources.mount(Path(source.text), source)
                else:
                    mounts.pop(target.text.rstrip("/"), None)
        return mounts

    def mounted(self, path: str) -> Mount | None:
        """What of the host's stands at a path in the container.

        Raises:
            SourceError: It is mounted there, and is no file.
        """
        around = [(target, mount) for target, mount in self.mounts().items() if f"{path}/".startswith(f"{target}/")]
        if not around:
            return None
        target, mount = max(around, key=lambda pair: len(pair[0]))
        host = mount.path / path[len(target) + 1 :]
        if target == path and not host.exists():
            raise mount.written.error(f"no such file: {mount.written.text}")
        return self._sources.mount(host, mount.written) if host.exists() else None

    def mounted_below(self, folder: str, suffix: str) -> list[Mount]:
        """The host's files with a suffix that stand in a folder in the container, in the order of their names there."""
        files = {
            target: mount
            for target, mount in self.mounts().items()
            if target.startswith(f"{folder}/") and target.endswith(suffix)
        }
        whole = self.mounted(folder)
        if whole:
            for path in whole.path.glob(f"*{suffix}"):
                files.setdefault(f"{folder}/{path.name}", self._sources.mount(path, whole.written))
        return [files[target] for target in sorted(files)]

    def _refuse(self, key: str, instead: str) -> None:
        """Say that a key brings in what another file or service says."""
        for layer, value in self._stated(key):
            if value:
                written = self._sources.written(self._at(key), layer)
                raise written.error(
                    f"what `{key}` of {self.name} says is not seen by the models: {instead}", ModelError
                )

    def _stated(self, key: str) -> list[tuple[int, Any]]:
        return self._sources.stated((*self.place, key))

    def _at(self, *parts: str | int) -> Place:
        return (*self.place, *parts)


_NOTHING = object()


def _text(value: Any) -> str:
    """A YAML scalar as the compose tool hands it on."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _entries(given: Any) -> list[tuple[str | int, str, Any]]:
    """An `environment` in either form: place, name, and value or None."""
    if isinstance(given, dict):
        return [(str(name), str(name), value) for name, value in given.items()]
    parted = [(index, *str(item).partition("=")) for index, item in enumerate(given or [])]
    return [(index, name, value if equals else None) for index, name, equals, value in parted]


def _short_volume(volume: Any) -> dict[str, str]:
    source, colon, rest = str(volume).partition(":")
    return {"source": source, "target": rest.partition(":")[0]} if colon else {"target": source}


def _dotenv(folder: Path) -> dict[str, str]:
    """The file `.env` that the compose tool reads beside the compose file."""
    file = folder / ".env"
    lines = file.read_text().splitlines() if file.is_file() else []
    parted = [line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#")]
    return {name.strip(): value.strip().strip("'\"") for name, _, value in parted}
