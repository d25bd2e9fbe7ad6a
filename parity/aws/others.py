"""Services that are not modelled, from moto's stock server in the same process."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from botocore.model import OperationNotFoundError

from parity.aws.buckets import Buckets
from parity.aws.wire.answers import Reply
from parity.aws.wire.xml import escape

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
#: moto keeps everything in memory and is bound by Python's lock; more threads answer no faster.
THREADS = 8
_SIGNED_FOR = re.compile(r"Credential=[^/,\s]*/\d*/[^/,\s]*/([^/,\s]*)/aws4_request")

log = logging.getLogger(__name__)


class Others:
    """moto's server, started by the first request that needs it, which takes about a second.

    What it keeps is in memory, and lives in real time. Only what is in S3 is on disk as well, where there is a folder.

    Args:
        account_id: The account that everything is in, as it is in the region.
        folder: Where S3's buckets are kept; None to keep them in memory only.

    Raises:
        RecordError: The folder cannot be used.
    """

    def __init__(self, account_id: str, folder: Path | None = None) -> None:
        self._account_id = account_id
        self._buckets = Buckets(folder / "buckets.sqlite", account_id) if folder else None
        self._lock = threading.Lock()
        self._app: Wsgi | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="moto")

    async def answer(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
        """Answer a request, without holding up the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.request, method, target, list(headers), body)

    def request(self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
        """Answer a request.

        Args:
            method: HTTP's.
            target: Path and query as they came.
            headers: Names in any case, and values.
            body: All of it.
        """
        environ = _environ(method, target, headers, body)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account_id
        started: list[Any] = []

        def start_response(status: str, given: list[tuple[str, str]], _exc_info: object = None) -> None:
            started[:] = [int(status.split(maxsplit=1)[0]), {name.lower(): value for name, value in given}]

        try:
            chunks = self._started()(environ, start_response)
            content = b"".join(chunks)
            if close := getattr(chunks, "close", None):
                close()
            if self._buckets and started[0] < 300 and method not in {"GET", "HEAD"}:
                self._keep(self._buckets, environ)
        except OperationNotFoundError as problem:
            return _refused(environ, "InvalidAction", f"The action {problem} is not valid for this web service.", 400)
        except NotImplementedError as problem:
            return _refused(environ, "NotImplemented", f"moto says of it: {problem}", 501)
        except Exception:
            # moto has hundreds of services, and says of none what it raises at a request it was not made for.
            log.exception("moto broke off at %s %s", method, target)
            return _refused(environ, "InternalFailure", "moto broke off: see the log of the endpoint.", 500)
        return Reply(status=started[0], headers=started[1], body=content)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What a bucket of S3 has now, by key; nothing where there is no such bucket."""
        if self._app is None:
            return {}
        from moto.s3.models import s3_backends  # noqa: PLC0415 - as below

        found = s3_backends[self._account_id]["aws"].buckets.get(bucket)
        return {key: found.keys[key].value for key in sorted(found.keys)} if found else {}

    def close(self) -> None:
        """End its threads; what is being answered is left."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._buckets:
            self._buckets.close()

    def _keep(self, buckets: Buckets, environ: Mapping[str, Any]) -> None:
        """Have on disk what a request changed in S3."""
        if _service(environ) not in {"", "s3"}:
            return
        path, _, query = environ["RAW_URI"].partition("?")
        tagged = "tagging" in query or "HTTP_X_AMZ_TAGGING" in environ
        buckets.keep(path, environ.get("HTTP_HOST", ""), tagged=tagged)

    def _started(self) -> Wsgi:
        with self._lock:
            if self._app is None:
                # Loading it takes time, and many runs never need it.
                from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
                    DomainDispatcherApplication,
                    create_backend_app,
                )

                if self._buckets:
                    self._buckets.load()
                self._app = DomainDispatcherApplication(create_backend_app)
            return self._app


def _environ(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """A request as WSGI has it, and as moto's own server adds to it."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "4566",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    spelled: dict[str, str] = {}
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
        # S3's metadata may have underscores, which WSGI does not tell from dashes.
        if "_" in name and name.lower().startswith("x-amz-meta-"):
            spelled[key] = name
    environ["moto.preserved_header_names"] = spelled
    # The body was read whole, however it came.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _refused(environ: Mapping[str, Any], code: str, message: str, status: int) -> Reply:
    """What moto does not say itself, as clients read it: in JSON where they name the operation in a header."""
    log.warning("%s refused: %s", environ.get("HTTP_X_AMZ_TARGET") or _service(environ) or "a request", message)
    if "HTTP_X_AMZ_TARGET" in environ:
        name = "UnknownOperationException" if code == "InvalidAction" else code
        content = msgspec.json.encode({"__type": name, "message": message})
        return Reply(status=status, headers={"content-type": "application/x-amz-json-1.0"}, body=content)
    kind = "Sender" if status < 500 else "Receiver"
    error = f"<Type>{kind}</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
    text = f"<ErrorResponse><Error>{error}</Error><RequestId/></ErrorResponse>"
    return Reply(status=status, headers={"content-type": "text/xml"}, body=text.encode())


def _service(environ: Mapping[str, Any]) -> str:
    """The service in the scope of a signature; empty where there is none."""
    signed_for = _SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
    return signed_for[1] if signed_for else ""


def signed(service: str, region: str) -> Mapping[str, str]:
    """Headers that name a service as a signature does; nobody checks it."""
    scope = f"test/20200101/{region}/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
