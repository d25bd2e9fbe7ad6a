"""The rare branches of the models: a search that is worth its time reaches each of them on some stack."""

from __future__ import annotations

from parity.model.settings import ModelSettings

#: As the models name them. A test holds this list against their source.
PROBES = frozenset(
    {
        "a client missed the broker's heartbeats",
        "a commit is slow",
        "a confirm was overdue",
        "a crash took back a commit",
        "a flush is slow",
        "a full queue dropped its head",
        "a job could not be published in time",
        "a job starved its connection of heartbeats",
        "a job took its worker along",
        "a leader kept what its channel was never told of",
        "a message exceeded its delivery limit",
        "a message expired",
        "a message that went nowhere was confirmed",
        "a message was dropped for want of a dead-letter queue",
        "a message was stored whose confirm never came",
        "a minority paused itself",
        "a mirror was promoted that was not synchronised",
        "a node woke after the others gave it up",
        "a policy waited for a silent node",
        "a producer submitted a job again whose outcome it did not know",
        "a publish met a queue whose node is away",
        "a publish met a queue without a leader",
        "a publish met an alarm",
        "a quorum queue elected another leader",
        "a restart emptied what was not on disk",
        "a row of an outbox was left to be published again",
        "a statement is slow",
        "a tag of an earlier connection was acknowledged",
        "a worker did not connect again",
        "a worker gave a job up that it could not commit",
        "an acknowledgement was later than consumer_timeout",
        "autoheal hangs",
        "autoheal restarted the losers",
        "both masters of one queue took a message in",
        "jobs came back from consumers on a node that was given up",
        "no mirror was synchronised enough to be promoted",
        "nodes gave each other up",
        "nodes met again that had given each other up",
        "one side of a partition was thrown away",
        "the broker missed a client's heartbeats",
        "the database refused a connection",
        "the outcome of a commit was unknown",
        "the queue was deleted with its last consumer",
        "two masters of one queue",
    }
)
#: Of them those that only one type of queue can come to.
_ONLY = {
    "classic": frozenset(
        {
            "a flush is slow",
            "a mirror was promoted that was not synchronised",
            "a policy waited for a silent node",
            "a publish met a queue whose node is away",
            "a restart emptied what was not on disk",
            "both masters of one queue took a message in",
            "no mirror was synchronised enough to be promoted",
            "one side of a partition was thrown away",
            "two masters of one queue",
        }
    ),
    "quorum": frozenset(
        {
            "a commit is slow",
            "a leader kept what its channel was never told of",
            "a message was stored whose confirm never came",
            "a publish met a queue without a leader",
            "a quorum queue elected another leader",
            "jobs came back from consumers on a node that was given up",
        }
    ),
}
#: Those of a producer's outbox.
_OUTBOX = frozenset({"a row of an outbox was left to be published again"})


def probes_of(settings: ModelSettings) -> frozenset[str]:
    """The probes that a search of a stack may reach.

    Args:
        settings: The stack's.
    """
    other = "classic" if settings.broker.queue_type == "quorum" else "quorum"
    outbox = frozenset() if settings.producer.outbox else _OUTBOX
    return PROBES - _ONLY[other] - outbox
