"""A small HTTP service, for what stands behind a load balancer: each answer says which instance gave it.

usage: web.py PORT

    GET /health         200
    GET /slow?S         the same as any other, after S seconds
    GET /answer?CODE    the same, with another status code
"""

from __future__ import annotations

import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers with the instance's name."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        path, _, query = self.path.partition("?")
        if path == "/slow":
            time.sleep(float(query or 0))
        body = f"{socket.gethostname()}\n".encode()
        self.send_response(int(query) if path == "/answer" else 200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the log is the worker's."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
