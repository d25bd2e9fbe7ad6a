"""Which revision of the application this is, and putting another in place: `python3 /app/revision.py REVISION`.

REVISION is a commit, a branch or a tag of the repository that the stack serves. Its files go over those that are there;
a worker that runs goes on with what it has loaded until it is told to start anew (SIGHUP).
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import urllib.request
from pathlib import Path

PLACE = Path(__file__).parent
#: What was put in place last; an image as it was built has none.
MARK = PLACE / "REVISION"
#: What an image is at that nobody put another revision into, and that nobody says more of.
AS_BUILT = "as-built"
TIMEOUT_S = 10


def current() -> str:
    """The revision that is in place."""
    if MARK.exists():
        return MARK.read_text().strip()
    return os.environ.get("REVISION") or AS_BUILT


def put_in_place(name: str, repository: str) -> str:
    """Fetch a revision's files; returns its commit."""
    commit = _fetch(f"{repository}/{name}").decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_fetch(f"{repository}/{commit}.tar"))) as archive:
        archive.extractall(PLACE)
    mark(commit)
    return commit


def mark(revision: str) -> None:
    """Say which revision is in place."""
    # Whoever reads it finds all of it, or the one before.
    aside = MARK.with_suffix(".new")
    aside.write_text(f"{revision}\n")
    aside.rename(MARK)


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        content: bytes = answer.read()
    return content


def main() -> int:
    """Put a revision in place and print its commit; exit status 1 where it cannot be had."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: revision.py REVISION\n")
        return 2
    repository = os.environ.get("REPOSITORY") or "http://git/app"
    try:
        sys.stdout.write(put_in_place(sys.argv[1], repository) + "\n")
    except OSError as error:
        sys.stderr.write(f"cannot put {sys.argv[1]} in place from {repository}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
