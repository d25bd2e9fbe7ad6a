"""How much waits in the queues, and for how long, by the broker's own figures."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from parity.model.scaling.world import Measured
from parity.stack.broker import Broker

#: As Amazon MQ names its metrics, in a namespace that is nobody else's.
NAMESPACE = "Parity/RabbitMQ"


@dataclass(frozen=True, kw_only=True)
class Depth:
    """A queue at a moment.

    Args:
        ready: Messages that wait.
        unacknowledged: Messages that are handed out.
        consumers: How many take messages.
        oldest_s: How long the oldest that waits has been there.
    """

    ready: int
    unacknowledged: int
    consumers: int
    oldest_s: float

    def metrics(self) -> dict[str, float]:
        """By the metrics' names."""
        return {
            "MessageCount": float(self.ready + self.unacknowledged),
            "MessageReadyCount": float(self.ready),
            "MessageUnacknowledgedCount": float(self.unacknowledged),
            "ConsumerCount": float(self.consumers),
            "OldestMessageAge": self.oldest_s,
        }


class Age:
    """How long the oldest message waits, from how many were published until when.

    The broker tells no message's age. A queue hands out the oldest first: when so many wait, the oldest is the one that
    was published when all but so many of today's had been. One that came back is younger in this view than it is.
    """

    def __init__(self) -> None:
        #: When how many had been published, oldest first; up to the one that the oldest waiting message was after.
        self._seen: deque[tuple[float, int]] = deque()

    def oldest_s(self, *, now_s: float, published: int, ready: int) -> float:
        """How long the oldest message that waits has been there, as far back as this has been asked.

        Args:
            now_s: The time, from any start.
            published: How many messages were published to the queue in all.
            ready: How many wait.
        """
        if self._seen and published < self._seen[-1][1]:
            # The broker counts anew.
            self._seen.clear()
        self._seen.append((now_s, published))
        taken = published - ready
        while len(self._seen) > 1 and self._seen[1][1] <= taken:
            self._seen.popleft()
        return now_s - self._seen[0][0] if ready else 0.0


class Backlog:
    """The queues of a virtual host.

    Args:
        broker: Asked for them.
        virtual_host: Where they are.
        queues: Their names.
    """

    def __init__(self, broker: Broker, virtual_host: str, queues: Sequence[str]) -> None:
        self._broker = broker
        self._virtual_host = virtual_host
        self._ages = {queue: Age() for queue in queues}

    def look(self, *, now_s: float) -> dict[str, Depth]:
        """Every queue that is there.

        Args:
            now_s: The time, from any start.

        Raises:
            StackError: The broker does not say.
        """
        # Totals straight from the queues; the statistics proper, which count what was published, are seconds late.
        fresh = {queue.name: queue for queue in self._broker.queues(self._virtual_host)}
        depths = {}
        for name, age in self._ages.items():
            shown = self._broker.queue(self._virtual_host, name)
            if shown is None or name not in fresh:
                continue
            published = int((shown.get("message_stats") or {}).get("publish") or 0)
            depths[name] = Depth(
                ready=fresh[name].ready,
                unacknowledged=fresh[name].unacknowledged,
                consumers=int(shown.get("consumers") or 0),
                oldest_s=age.oldest_s(now_s=now_s, published=published, ready=fresh[name].ready),
            )
        return depths


def measured(depths: dict[str, Depth]) -> list[Measured]:
    """Datapoints of queues."""
    return [
        Measured(NAMESPACE, name, (("Queue", queue),), total=value, low=value, high=value)
        for queue, depth in depths.items()
        for name, value in depth.metrics().items()
    ]
