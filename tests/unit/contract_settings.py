"""The settings of the reference stack and its overlays, by hand, as their files state them."""

from __future__ import annotations

from typing import Any

from parity.model.settings import BrokerModel, DatabaseModel, ModelSettings, ProducerModel, WorkerModel

_OVERLAYS: dict[str, dict[str, dict[str, Any]]] = {
    "acknowledges-at-the-door": {"worker": {"on_stop": "acknowledge"}},
    "acknowledges-what-it-cannot-commit": {"worker": {"on_commit_error": "acknowledge"}},
    "acknowledgement-before-commit": {"worker": {"acknowledge": "before-commit", "acknowledge_delay": 0.1}},
    "automatic-acknowledgement": {"worker": {"acknowledge": "automatic"}},
    "classic-autoheal": {"broker": {"queue_type": "classic", "partition_handling": "autoheal"}},
    "classic-ignore": {"broker": {"queue_type": "classic", "partition_handling": "ignore"}},
    "classic-queue": {"broker": {"queue_type": "classic"}},
    "drops-what-fails": {"worker": {"on_failure": "acknowledge"}},
    "no-confirms": {"producer": {"ok_when": "written"}},
    "non-idempotent-worker": {"worker": {"deduplicate": "none", "acknowledge_delay": 0.1}},
    "quorum-autoheal": {"broker": {"partition_handling": "autoheal"}},
    "quorum-ignore": {"broker": {"partition_handling": "ignore"}},
    "transient-messages": {"broker": {"queue_type": "classic"}, "producer": {"persistent": False}},
}
#: Settings of the reference stack, and the parts of the model that they turn.
_TURNS = {
    "delivery_limit": ("broker",),
    "heartbeat": ("producer", "worker"),
    "confirm_timeout": ("producer",),
    "submit_timeout": ("producer",),
    "publish_window": ("producer",),
    "job_duration": ("worker",),
    "acknowledge_delay": ("worker",),
    "prefetch": ("worker",),
}
_NAMES = {"publish_window": "window"}


def settings_of(stack: str, turned: dict[str, Any] | None = None) -> ModelSettings:
    """The model's settings for a stack by its name and the settings that a scenario turns."""
    parts: dict[str, dict[str, Any]] = {
        "broker": {
            "queue_type": "quorum",
            "partition_handling": "pause_minority",
            "net_ticktime": 8,
            "delivery_limit": 20,
            "dead_letter": True,
        },
        "producer": {"heartbeat": 10},
        "worker": {"prefetch": 5, "heartbeat": 10, "stop_grace": 20},
    }
    overlay = stack.partition("+")[2]
    for part, changes in _OVERLAYS.get(overlay, {}).items():
        parts[part].update(changes)
    if parts["broker"]["queue_type"] == "classic":
        parts["broker"]["delivery_limit"] = None
    for name, value in (turned or {}).items():
        for part in _TURNS[name]:
            if name != "delivery_limit" or parts["broker"]["queue_type"] == "quorum":
                parts[part][_NAMES.get(name, name)] = value
    return ModelSettings(
        poison=("poison",),
        crash=("crash",),
        broker=BrokerModel(**parts["broker"]),
        producer=ProducerModel(**parts["producer"]),
        worker=WorkerModel(**parts["worker"]),
        database=DatabaseModel(max_connections=40),
    )
