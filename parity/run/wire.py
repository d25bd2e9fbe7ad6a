"""What the instances of a run see of AWS: the API of their group, S3, and the metadata service."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from parity.aws.endpoint import Api
from parity.aws.metadata import Metadata
from parity.aws.others import Others
from parity.aws.server import FileSocket, Server
from parity.model.scaling.region import Answer
from parity.model.scaling.state import State
from parity.run.scaled import ScaledGroup
from parity.stack import launch, owner, relay
from parity.stack.group import Group
from parity.stack.stack import Namespace

T = TypeVar("T")
#: Whoever asks for keys gets these; nobody checks them.
_KEY = "parity"


class Wire:
    """A run's own endpoint for its instances.

    They reach it by a relay container of the run's; everything is gone when the block is left.

    Args:
        namespace: The run's part of the stack.
        scaled: The group.
        workers: Its instances' containers.
        tools: The network tools' image.
    """

    def __init__(self, namespace: Namespace, scaled: ScaledGroup, workers: Group, *, tools: str) -> None:
        self._namespace = namespace
        self._scaled = scaled
        self._workers = workers
        self._tools = tools
        self._name = f"{namespace.stack.project}-{namespace.name}-relay"
        self._others = Others(scaled.look(lambda state: state.account_id))
        self._left = contextlib.ExitStack()
        self._addresses: dict[str, str] = {}

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
            self._left.enter_context(Server(app, [FileSocket(folder / socket)], relayed=True))
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

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What is in a bucket of S3, by its key."""
        return self._others.objects(bucket)

    def _which(self, address: str) -> str:
        """The instance that asks from an address of the stack's network."""
        for worker in self._workers.alive():
            if not self._addresses.get(worker):
                self._addresses[worker] = launch.address(self._workers.container(worker))
            if self._addresses[worker] == address:
                return self._scaled.id_of(worker)
        return ""


class _Region:
    """The group's region as the API needs it."""

    def __init__(self, scaled: ScaledGroup) -> None:
        self._scaled = scaled

    def look(self, read: Callable[[State], T]) -> T:
        return self._scaled.look(read)

    def call(self, service: str, operation: str, request: Mapping[str, Any], render: Callable[[Answer], T]) -> T:
        return self._scaled.answer(service, operation, request, render)
