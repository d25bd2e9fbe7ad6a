"""What a finished job leaves in PostgreSQL, written so that a lost database never loses or doubles it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from broker import diagnose
from settings import backoff_s

#: One statement is one transaction and one round trip. The primary key of `done` makes the second of two
#: simultaneous deliveries wait for the first, and then do nothing.
ONCE = """
WITH first AS (INSERT INTO done (job_id) VALUES (%(job)s) ON CONFLICT DO NOTHING RETURNING job_id)
INSERT INTO effects (job_id, worker) SELECT job_id, %(worker)s FROM first
"""

#: The known-bad worker: every delivery of a job leaves its mark.
EVERY_TIME = "INSERT INTO effects (job_id, worker) VALUES (%(job)s, %(worker)s)"

CONNECT_TIMEOUT_S = 3
#: Ends a statement that waits behind a lock for ever; the job is then tried again.
STATEMENT_TIMEOUT_MS = 10_000
#: A link is cut when sent data stays unacknowledged so long, or so many probes, a second apart, unanswered.
TCP_USER_TIMEOUT_MS = 5_000
KEEPALIVE_PROBES = 3


class GivenUpError(Exception):
    """The worker was told to stop, lost the job or has no patience, before its effect could be committed."""


class Effects:
    """Writes effects, reconnecting as often as it takes.

    Args:
        url: The database, `postgresql://...`.
        worker: The name that goes beside each effect.
        idempotent: Whether a job leaves one effect however often it is delivered.
    """

    def __init__(self, url: str, *, worker: str, idempotent: bool) -> None:
        self._url = url
        self._worker = worker
        self._statement = ONCE if idempotent else EVERY_TIME
        self._connection: psycopg.Connection | None = None

    def commit(self, job_id: str, *, wait: Callable[[float], bool]) -> None:
        """Commit a job's effect.

        When the connection breaks, the outcome of the commit is unknown: the whole statement is tried again
        on a new one. The job is held meanwhile, not given back: each return would count against its delivery
        limit, and a database away for a minute would bury good jobs in the dead-letter queue.

        Args:
            job_id: The job.
            wait: Waits so many seconds; returns whether to give up.

        Raises:
            GivenUpError: `wait` said so.
        """
        failures = 0
        while True:
            try:
                self._connected().execute(self._statement, {"job": job_id, "worker": self._worker})
            except psycopg.Error as error:
                diagnose(f"database: {type(error).__name__}: {error}".strip())
                self._drop()
                failures += 1
                if wait(backoff_s(failures)):
                    raise GivenUpError(job_id) from error
            else:
                return

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                application_name=self._worker,
                connect_timeout=CONNECT_TIMEOUT_S,
                keepalives=1,
                keepalives_idle=KEEPALIVE_PROBES,
                keepalives_interval=1,
                keepalives_count=KEEPALIVE_PROBES,
                tcp_user_timeout=TCP_USER_TIMEOUT_MS,
                options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            )
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
