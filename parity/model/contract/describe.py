"""Lives and events in words."""

from __future__ import annotations

from collections.abc import Iterable

from parity.history.events import Delivery, Effect, Event, Found, Point, Submit, Submitted
from parity.model.contract.life import Life

#: How many different states a sentence names.
_STATES_MAX = 4

_PLACES = {
    "nowhere": "not submitted",
    "wire": "handed to a producer",
    "queue": "in the queue",
    "held": "held",
    "acknowledged": "acknowledged",
    "forgotten": "forgotten by the broker",
    "dead": "dead-lettered",
    "dropped": "dropped",
    "refused": "refused",
    "copies": "in more than one copy",
    "found": "found in the queue",
    "found-dead": "found in the dead-letter queue",
}


def describe_life(life: Life) -> str:
    """One life in a few words."""
    words = _PLACES[life.place]
    if life.place in ("held", "acknowledged") and life.holder:
        words += f" by {life.holder}"
    if life.place == "dropped":
        words += f" ({life.why})"
    if life.place in ("wire", "queue") and life.returns:
        words += f", returned {life.returns} times" if life.returns > 1 else ", returned"
    if life.outcome == "due":
        words += ", not confirmed"
    if life.committed > life.counted:
        words += ", its effect committed"
    return words


def describe_lives(lives: Iterable[Life]) -> str:
    """The states that a job may be in."""
    states = sorted({describe_life(life) for life in lives})
    if len(states) > _STATES_MAX:
        states = [*states[:_STATES_MAX], f"{len(states) - _STATES_MAX} more"]
    return " or ".join(states) or "nothing"


def describe_event(event: Event) -> str:
    """What was seen of a job."""
    match event:
        case Submit():
            return "submitted" + (f" as {event.kind}" if event.kind else "")
        case Submitted():
            return f"outcome {event.outcome}" + (f" ({event.reason})" if event.reason else "")
        case Delivery():
            flag = {None: "", True: ", flagged as redelivered", False: ", not flagged as redelivered"}
            return f"delivered to {event.worker}{flag[event.redelivered]}"
        case Point():
            return f"{event.point} by {event.worker}"
        case Effect():
            return f"{event.count} effects counted" if event.count != 1 else "1 effect counted"
        case Found():
            return f"found in {event.queue}"
        case _:
            return str(event)
