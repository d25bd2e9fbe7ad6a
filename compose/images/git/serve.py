"""Serves a git repository, which begins with one commit of what is in /source.

git://HOST/app.git                  to clone, fetch and push
http://HOST/app/main                the revision that a branch or tag is at, in hexadecimal digits
http://HOST/app/REVISION.tar        its files
"""

import os
import re
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SOURCE = Path("/source")
BASE = Path("/srv/git")
REPOSITORY = BASE / "app.git"
PATH = re.compile(r"/app/([\w./-]+?)(\.tar)?")
AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "parity"), ("EMAIL", "parity@localhost"), ("DATE", "2026-01-01T00:00:00Z"))
}


def git(*arguments: str, **environment: str) -> bytes:
    """Run git in the repository, and give what it printed."""
    command = ["git", "--git-dir", str(REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=os.environ | environment).stdout


def begin() -> None:
    """Make the repository, unless it is there."""
    if REPOSITORY.exists():
        return
    BASE.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "--bare", "--initial-branch=main")
    git("--work-tree", str(SOURCE), "add", "--all")
    git("--work-tree", str(SOURCE), "commit", "--quiet", "--message", "As the stack began", **AUTHOR)


class Handler(BaseHTTPRequestHandler):
    """Answers for revisions."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a revision, or its files."""
        found = PATH.fullmatch(self.path)
        try:
            body = self.content(found[1], archive=bool(found[2])) if found else None
        except subprocess.CalledProcessError:
            body = None
        self.send_response(200 if body is not None else 404)
        body = body if body is not None else b"no such revision\n"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def content(self, name: str, *, archive: bool) -> bytes:
        """What a revision's path stands for."""
        revision = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").decode().strip()
        return git("archive", "--format=tar", revision) if archive else f"{revision}\n".encode()


def main() -> None:
    """Serve until killed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    begin()
    daemon = ["git", "daemon", "--reuseaddr", "--export-all", "--enable=receive-pack", f"--base-path={BASE}", str(BASE)]
    with subprocess.Popen(daemon) as process:
        try:
            ThreadingHTTPServer(("", 80), Handler).serve_forever()
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
