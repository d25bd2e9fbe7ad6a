"""Images: found by content digest, pulled where a registry answers, else built from the Debian archive."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker.errors
import requests

from parity.errors import ImageError
from parity.stack import owner
from parity.stack.engine import engine, translated

Progress = Callable[[str], None]

#: Images of this prefix are parity's own: built from the folder of the same name.
OWN_PREFIX = "parity/"
#: The Dockerfiles that parity comes with; a stack elsewhere takes the network tools from here.
_SHIPPED = Path(__file__).parents[2] / "compose" / "images"
SUITE = "bookworm"
OFFICIAL_BASE = f"debian:{SUITE}-slim"
#: Raised whenever the way images are built changes, so that older ones are not taken for the same.
RECIPE = "2"
_BASE_TAG = f"{OWN_PREFIX}base:{SUITE}-{RECIPE}"
_NEVER_PULLED_TIMEOUT_S = 20
#: What nobody reads in a container.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
_APT_PROXY_NAMES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY")


def ensure_images(names: Iterable[str], *, folder: Path, progress: Progress) -> dict[str, str]:
    """Make every image available.

    Args:
        names: As the compose file names them. `parity/NAME` is built from `folder`/NAME; others are found or pulled.
        folder: The Dockerfiles' folder.
        progress: Told what takes time.

    Returns:
        For each name the reference to use in its stead: a tag that holds the content's digest for our own.

    Raises:
        ImageError: One can be neither found, pulled nor built; names it and says the way out.
    """
    wanted = sorted(set(names))
    own = [name for name in wanted if name.startswith(OWN_PREFIX)]
    references = {name: _find_or_pull(name, progress) for name in wanted if name not in own}
    tags = {name: _own_tag(name, folder) for name in own}
    if any(not _present(tag) for tag in tags.values()):
        with owner.one_at_a_time("images", wait=lambda: progress("waiting for another parity that builds images")):
            _build_missing(tags, folder, progress)
    return references | tags


def _build_missing(tags: dict[str, str], folder: Path, progress: Progress) -> None:
    missing = [name for name, tag in tags.items() if not _present(tag)]
    if not missing:
        return
    base = _ensure_base(progress)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda name: _build(name, tags[name], folder, base, progress), missing))


def image_digest(reference: str) -> str:
    """The engine's content digest of an image, `sha256:...`."""
    with translated(f"inspect the image {reference}"):
        return str(engine().images.get(reference).id)


def _present(reference: str) -> bool:
    with translated(f"look for the image {reference}"):
        try:
            engine().images.get(reference)
        except docker.errors.ImageNotFound:
            return False
        return True


def _find_or_pull(reference: str, progress: Progress) -> str:
    if _present(reference):
        return reference
    progress(f"pulling {reference}")
    try:
        engine().images.pull(reference)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise ImageError(
            f"the image {reference} is not here and cannot be pulled: {getattr(error, 'explanation', error)}\n"
            f"Load it (docker load), or leave the setting that names it out: parity then builds its own from Debian."
        ) from error
    return reference


def _own_tag(name: str, folder: Path) -> str:
    short = name.removeprefix(OWN_PREFIX).partition(":")[0]
    context = _context(short, folder)
    if not (context / "Dockerfile").is_file():
        known = sorted(path.parent.name for path in folder.glob("*/Dockerfile"))
        raise ImageError(f"no Dockerfile for {name}: {context} has none; there are {', '.join(known) or 'no images'}")
    digest = hashlib.sha256(f"{RECIPE} {SUITE}".encode())
    for path in sorted(context.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"\0{path.relative_to(context)}\0".encode())
            digest.update(path.read_bytes())
    return f"{OWN_PREFIX}{short}:{digest.hexdigest()[:16]}"


def _context(short: str, folder: Path) -> Path:
    """Where an image's Dockerfile is: beside the stack, else among those that parity comes with."""
    return folder / short if (folder / short).is_dir() else _SHIPPED / short


def _build(name: str, tag: str, folder: Path, base: str, progress: Progress) -> None:
    context = _context(tag.removeprefix(OWN_PREFIX).partition(":")[0], folder)
    progress(f"building {name}")
    arguments = {"BASE": base} | {key: os.environ[key] for key in _APT_PROXY_NAMES if key in os.environ}
    try:
        engine().images.build(path=str(context), tag=tag, buildargs=arguments, rm=True, forcerm=True)
    except docker.errors.BuildError as error:
        lines = [str(part.get("stream") or part.get("error") or "") for part in error.build_log]
        tail = "\n".join(f"    {line}" for line in "".join(lines).splitlines()[-15:])
        raise ImageError(f"building {name} from {context} failed: {error.msg}\n{tail}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise ImageError(f"building {name} from {context} failed: {error}") from error
    progress(f"built {name}")


def _ensure_base(progress: Progress) -> str:
    """The Debian base all our images start from: pulled, or bootstrapped from the archive."""
    if _present(_BASE_TAG):
        return _BASE_TAG
    if _present(OFFICIAL_BASE) or _pull_quietly(OFFICIAL_BASE, progress):
        with translated(f"tag {OFFICIAL_BASE}"):
            engine().images.get(OFFICIAL_BASE).tag(_BASE_TAG)
        return _BASE_TAG
    progress(f"no image registry answers: bootstrapping Debian {SUITE} from the archive")
    with tempfile.TemporaryDirectory(prefix="parity-base-") as work:
        archive = Path(work) / "base.tar"
        _bootstrap(archive, progress)
        with translated("import the Debian base"):
            repository, _, version = _BASE_TAG.partition(":")
            engine().api.import_image_from_file(str(archive), repository=repository, tag=version)
    return _BASE_TAG


def _pull_quietly(reference: str, progress: Progress) -> bool:
    progress(f"asking the registry for {reference}")
    # A child process, because the SDK has no way to give a pull up: an engine without a route waits for minutes.
    docker_command = shutil.which("docker")
    if docker_command is None:
        return False
    try:
        done = subprocess.run(
            [docker_command, "pull", "-q", reference],
            capture_output=True,
            timeout=_NEVER_PULLED_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _bootstrap(archive: Path, progress: Progress) -> None:
    command = _bootstrap_command(archive)
    if command is None and os.geteuid() == 0 and shutil.which("apt-get"):
        progress("installing mmdebstrap")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (
            ["update", "-qq"],
            ["install", "-y", "-qq", "--no-install-recommends", "mmdebstrap"],
        ):
            done = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, env=environment, check=False)
            if done.returncode:
                raise ImageError(f"apt-get {arguments[0]} failed:\n{done.stderr.strip()[-1000:]}")
        command = _bootstrap_command(archive)
    if command is None:
        raise ImageError(
            "a Debian base image cannot be had: no registry answers and neither mmdebstrap nor debootstrap is here.\n"
            "Install one (sudo apt-get install mmdebstrap), or load debian:bookworm-slim into the engine."
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]} failed:\n{done.stderr.strip()[-1500:]}")


def _bootstrap_command(archive: Path) -> list[str] | None:
    if shutil.which("mmdebstrap"):
        return [
            "mmdebstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            # As in Debian's own image: no descriptions in other languages, and no waiting for the disk.
            '--aptopt=Acquire::Languages "none"',
            "--dpkgopt=force-unsafe-io",
            # By a hook, not by options: those would have every first archive filtered by a slow script.
            f"--extract-hook={_leave_out()}",
            SUITE,
            str(archive),
        ]
    if shutil.which("debootstrap") and os.geteuid() == 0:
        root = archive.parent / "root"
        script = (
            f"debootstrap --variant=minbase --include=ca-certificates {SUITE} {root} && tar -C {root} -cf {archive} ."
        )
        return ["sh", "-c", script]
    return None


def _leave_out() -> str:
    """A shell command that removes what is left out of the root `$1`, and keeps later packages from bringing it."""
    remove = " ".join(f'"$1"{pattern}' for pattern in _LEFT_OUT)
    lines = " ".join(f"path-exclude={pattern}" for pattern in _LEFT_OUT)
    return f'rm -rf {remove} && set -f && printf "%s\\n" {lines} > "$1/etc/dpkg/dpkg.cfg.d/parity"'
