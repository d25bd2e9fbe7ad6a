"""How an instance boots: its user data runs before its command, in the same container and into the same log."""

from __future__ import annotations

import base64
import binascii
import shutil
import zlib
from pathlib import Path
from typing import Any

import docker.types
from docker.models.images import Image

from parity.stack import launch

#: Where a container sees its boot folder: as on a machine that cloud-init started.
TARGET = "/var/lib/cloud/instance"
_SCRIPT = "user-data"
_BOOTED = "booted"
#: SIGTERM during user data ends the boot: a shell that is process 1 would not hear it otherwise.
_WRAPPER = f"""
if [ ! -e {TARGET}/{_BOOTED} ]; then
  trap 'kill -TERM "$child" 2>/dev/null; exit 143' TERM INT
  {TARGET}/{_SCRIPT} & child=$!
  wait "$child"; code=$?
  trap - TERM INT
  if [ "$code" -ne 0 ]; then echo "user data failed with exit code $code; the boot goes on" >&2; fi
fi
exec "$@"
"""
_NO_SCRIPT = "#!/bin/sh\necho 'user data begins with neither #! nor a compressed script: it is not run' >&2\n"


def write(folder: Path, user_data: str) -> None:
    """Lay an instance's user data ready.

    Args:
        folder: The instance's boot folder; made where it is not there.
        user_data: Base64, as the API has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / _SCRIPT
    script.write_bytes(script_of(user_data))
    # The service's user need not be the one who wrote it.
    script.chmod(0o755)
    folder.chmod(0o755)


def script_of(user_data: str) -> bytes:
    """The script that user data is; one that says so where it is none."""
    try:
        data = base64.b64decode(user_data)
        if data.startswith(b"\x1f\x8b"):
            data = zlib.decompress(data, wbits=31)
    except (binascii.Error, zlib.error):
        data = b""
    return data if data.startswith(b"#!") else _NO_SCRIPT.encode()


def mark_booted(folder: Path) -> None:
    """Say that the user data had its turn: it runs at an instance's first boot only."""
    if folder.is_dir():
        (folder / _BOOTED).touch()


def forget(folder: Path) -> None:
    """Remove an instance's boot folder."""
    shutil.rmtree(folder, ignore_errors=True)


def mount(folder: Path) -> docker.types.Mount:
    """The boot folder as the container sees it."""
    return docker.types.Mount(TARGET, str(folder), type="bind", read_only=True)


def wrapped(service: dict[str, Any], image: Image) -> dict[str, Any]:
    """The options that run user data before a service's command.

    Args:
        service: The merged service.
        image: What it runs, for what the service leaves to it.
    """
    return {"entrypoint": ["/bin/sh", "-c", _WRAPPER, "boot"], "command": argv(service, image)}


def argv(service: dict[str, Any], image: Image) -> list[str]:
    """What a service's container runs, the image's entry point and command filled in."""
    entrypoint, command = launch.words(service, "entrypoint"), launch.words(service, "command")
    config = image.attrs["Config"]
    if command is None:
        command = (config.get("Cmd") or []) if entrypoint is None else []
    if entrypoint is None:
        entrypoint = config.get("Entrypoint") or []
    return [*entrypoint, *command]
