"""The compose tool that is there, and the one file that parity renders for it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from parity.errors import EngineError, SourceError, StackError
from parity.scenario.duration import parse_duration_s
from parity.stack.description import StackFiles

#: What a service may state and parity decides: where it listens and stands, how many there are, when it is started.
_NOT_KEPT = frozenset(
    (
        "build",
        "container_name",
        "deploy",
        "network_mode",
        "networks",
        "ports",
        "profiles",
        "pull_policy",
        "restart",
        "scale",
    )
)


def compose_command() -> list[str]:
    """`docker compose` where it is there, else `docker-compose`.

    Raises:
        EngineError: Neither is.
    """
    docker_command = shutil.which("docker")
    if docker_command:
        done = subprocess.run([docker_command, "compose", "version"], capture_output=True, check=False)
        if done.returncode == 0:
            return [docker_command, "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise EngineError(
        "no compose tool is here: neither `docker compose` nor `docker-compose`.\n"
        "Install one: sudo apt-get install docker-compose"
    )


def merged_services(files: StackFiles) -> dict[str, dict[str, Any]]:
    """The services as the compose tool merges and interpolates them.

    Raises:
        SourceError: The compose tool refuses the files; carries its words.
    """
    command = [*compose_command(), *_file_arguments(files.compose_files), "config"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=files.folder, check=False)
    if done.returncode:
        raise SourceError(f"the compose tool refuses it:\n{done.stderr.strip()}", file=str(files.compose_files[-1]))
    services: dict[str, dict[str, Any]] = yaml.safe_load(done.stdout)["services"]
    description = files.description
    needed = {*description.broker.services, description.database.service, description.worker.service}
    needed.add(description.submit.service or "")
    # `docker compose` leaves the services of profiles that nobody asked for out, `docker-compose` does not.
    return {name: service for name, service in services.items() if name in needed or not service.get("profiles")}


def render(
    services: dict[str, dict[str, Any]],
    *,
    ports: dict[str, list[int]],
    images: dict[str, str],
    labels: dict[str, str],
) -> str:
    """One compose file for one stack.

    Host ports are taken away and replaced by ephemeral ones on loopback; fixed container names go, so that
    stacks can stand side by side; everything carries the labels that the reaper looks for.

    Args:
        services: The services to bring up, merged.
        ports: For each service the container ports that parity talks to.
        images: What each image name stands for.
        labels: For every container, network and volume.
    """
    rendered: dict[str, Any] = {}
    for name, service in services.items():
        kept = {key: value for key, value in service.items() if key not in _NOT_KEPT}
        if limits := (service.get("deploy") or {}).get("resources"):
            kept["deploy"] = {"resources": limits}
        own_labels = _as_mapping(service.get("labels"))
        rendered[name] = kept | {
            "image": images[service["image"]],
            "labels": own_labels | labels,
            "ports": [f"127.0.0.1::{port}" for port in ports.get(name, [])],
            # Parity decides what is started again and when: a restart policy would heal a fault behind its back.
            "restart": "no",
        }
        kept_dependencies = [other for other in service.get("depends_on") or [] if other in services]
        rendered[name]["depends_on"] = kept_dependencies
    volumes = {
        volume["source"] if isinstance(volume, dict) else str(volume).partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes") or []
        if _is_named(volume)
    }
    document = {
        "version": "3.7",
        "services": rendered,
        "networks": {"default": {"labels": labels}},
        "volumes": {volume: {"labels": labels} for volume in sorted(volumes)},
    }
    return yaml.safe_dump(document, sort_keys=False)


def up(file: Path, *, project: str) -> None:
    """Create and start every service of a rendered file.

    Raises:
        StackError: The compose tool failed; carries its last lines.
    """
    command = [*compose_command(), "-f", str(file), "-p", project, "up", "-d", "--no-build", "--quiet-pull"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-10:])
        raise StackError(f"the compose tool could not bring the stack up:\n{tail}")


def stop_grace_s(service: dict[str, Any]) -> int:
    """Seconds between SIGTERM and SIGKILL, as the service states them; 10 by default, as Docker's."""
    return max(1, round(_seconds(service.get("stop_grace_period", "10s"))))


def cpus(service: dict[str, Any]) -> float:
    """How many processors a service's container may use; 0: all that there are."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    return float(service.get("cpus") or limits.get("cpus") or 0)


def healthcheck(service: dict[str, Any]) -> dict[str, Any]:
    """A service's health check as the Engine API takes it, in nanoseconds; empty where the service states none."""
    stated = dict(service.get("healthcheck") or {})
    if not stated:
        return {}
    test = ["NONE"] if stated.get("disable") else stated.get("test", [])
    made: dict[str, Any] = {"test": ["CMD-SHELL", test] if isinstance(test, str) else list(test)}
    made |= {
        key: round(1e9 * _seconds(stated[key])) for key in ("interval", "timeout", "start_period") if key in stated
    }
    return made | ({"retries": int(stated["retries"])} if "retries" in stated else {})


def _seconds(stated: Any) -> float:
    """A duration as compose files have it, several units in a row included: `1m30s`."""
    text = str(stated)
    parts = re.findall(r"\d+(?:\.\d+)?(?:ms|h|m|s)", text) or [text]
    return sum(parse_duration_s(part) for part in parts)


def _file_arguments(files: tuple[Path, ...]) -> list[str]:
    return [argument for file in files for argument in ("-f", str(file))]


def _as_mapping(labels: Any) -> dict[str, str]:
    if isinstance(labels, list):
        return {key: value for key, _, value in (str(label).partition("=") for label in labels)}
    return dict(labels or {})


def _is_named(volume: Any) -> bool:
    if isinstance(volume, dict):
        return volume.get("type") == "volume" and bool(volume.get("source"))
    source, colon, _ = str(volume).partition(":")
    return bool(colon) and not source.startswith(("/", ".", "~"))
