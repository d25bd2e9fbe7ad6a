"""The AWS API that the instances of a run see, and what they bring to its S3: held against what they printed."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from parity.aws.endpoint import Api
from parity.aws.metadata import Metadata
from parity.aws.others import Others
from parity.aws.server import Server, unix_socket
from parity.history.events import Archived, Printed
from parity.model.scaling.region import Answer
from parity.model.scaling.state import State
from parity.run.recorder import Recorder
from parity.run.scaled import ScaledGroup
from parity.stack import launch, owner, relay
from parity.stack.group import Group
from parity.stack.stack import Namespace

T = TypeVar("T")
#: Whoever asks for keys gets these; nobody checks them.
_KEY = "parity"
_WORD = 1 << 64


class Archive:
    """A run's own endpoint for its instances: the AWS API of the group, S3, and the metadata service.

    Instances reach it by a relay container of the run's; everything is gone when the block is left.

    Args:
        namespace: The run's part of the stack.
        scaled: The group.
        recorder: The clock, and told what is archived.
        bucket: Where instances' lines are archived.
        tools: The network tools' image.
    """

    def __init__(
        self, namespace: Namespace, scaled: ScaledGroup, *, recorder: Recorder, bucket: str, tools: str
    ) -> None:
        self._namespace = namespace
        self._scaled = scaled
        self._recorder = recorder
        self._bucket = bucket.replace("{virtual_host}", namespace.name)
        self._tools = tools
        self._name = f"{namespace.stack.project}-{namespace.name}-relay"
        self._others = Others(scaled.look(lambda state: state.account_id))
        self._left = contextlib.ExitStack()
        self._lock = threading.Lock()
        #: For each worker its lines: when each was seen, and what it was.
        self._printed: dict[str, list[tuple[int, int]]] = {}
        self._addresses: dict[str, str] = {}
        self._workers: Group | None = None

    def __enter__(self) -> Self:
        try:
            self._serve()
        except BaseException:
            self._left.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.close()

    def _serve(self) -> None:
        stack = self._namespace.stack
        folder = owner.stack_folder(stack.id) / self._namespace.name
        self._left.callback(shutil.rmtree, folder, ignore_errors=True)
        self._left.callback(self._others.close)
        region = _Region(self._scaled)
        for app, socket in (
            (Api(region, self._others), relay.ENDPOINT_SOCKET),
            (Metadata(region, self._which), relay.METADATA_SOCKET),
        ):
            self._left.enter_context(Server(app, [unix_socket(folder / socket)], relayed=True))
        container = relay.make_relay(
            image=self._tools,
            name=self._name,
            network=stack.network,
            folder=folder,
            labels=stack.labels | {owner.LABEL_RUN: self._namespace.name},
        )
        self._left.callback(launch.remove, container)

    @property
    def environment(self) -> dict[str, str]:
        """What instances are told."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self._name}:{relay.ENDPOINT_PORT}",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{self._name}:{relay.METADATA_PORT}",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_DEFAULT_REGION": self._scaled.look(lambda state: state.region),
        }

    def serve(self, workers: Group) -> None:
        """Say which workers there are; before the first is launched."""
        self._workers = workers

    def lines(self, worker: str, texts: Iterable[str]) -> None:
        """A worker printed lines."""
        now_us = self._recorder.now_us()
        with self._lock:
            self._printed.setdefault(worker, []).extend((now_us, _hash(text)) for text in texts)

    def tell(self) -> None:
        """Record what those that ended had printed, and what the archive has of it."""
        assert self._workers is not None
        objects = self._others.objects(self._bucket)
        alive = set(self._workers.alive())
        for worker in self._workers.containers().keys() - alive:
            prefix = f"{self._scaled.id_of(worker)}/"
            content = b"".join(body for key, body in objects.items() if key.startswith(prefix))
            with self._lock:
                printed = self._printed.get(worker, [])
            self._tell(worker, printed, [_hash(line) for line in content.decode(errors="replace").split("\n")[:-1]])

    def _tell(self, worker: str, printed: list[tuple[int, int]], archived: list[int]) -> None:
        hashes = [one for _, one in printed]
        self._recorder.record(Printed, instance=worker, lines=len(hashes), digest=_digest(hashes))
        missing = missing_from(printed, archived)
        self._recorder.record(
            Archived,
            instance=worker,
            lines=len(archived),
            digest=_digest(archived),
            missing=len(missing),
            missing_since_us=min(missing, default=0),
        )

    def _which(self, address: str) -> str:
        """The instance that asks from an address of the stack's network."""
        workers = self._workers
        for worker in workers.alive() if workers is not None else ():
            assert workers is not None
            if not self._addresses.get(worker):
                self._addresses[worker] = launch.address(workers.container(worker))
            if self._addresses[worker] == address:
                return self._scaled.id_of(worker)
        return ""


def missing_from(printed: Iterable[tuple[int, int]], archived: Iterable[int]) -> list[int]:
    """When those lines were printed that are not in the archive, by their hashes; a line counts as often as it is."""
    left = Counter(archived)
    missing = []
    for time_us, line in printed:
        if left[line]:
            left[line] -= 1
        else:
            missing.append(time_us)
    return missing


def _hash(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode(errors="replace"), digest_size=8).digest(), "big")


def _digest(hashes: Iterable[int]) -> str:
    # Standard output and standard error come in no order.
    return f"{sum(hashes) % _WORD:016x}"


class _Region:
    """The group's region as the API needs it."""

    def __init__(self, scaled: ScaledGroup) -> None:
        self._scaled = scaled

    def look(self, read: Callable[[State], T]) -> T:
        return self._scaled.look(read)

    def call(self, service: str, operation: str, request: Mapping[str, Any], render: Callable[[Answer], T]) -> T:
        return self._scaled.answer(service, operation, request, render)
