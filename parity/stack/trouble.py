"""Something that does not work again and again, and is said once."""

from __future__ import annotations

from collections.abc import Callable


class Trouble:
    """What is wrong with something that is looked at again and again.

    Args:
        say: Told when something is wrong, and when it is over.
        wrong: What is said before why; empty for nothing.
        over: What is said when it is over.
    """

    def __init__(self, say: Callable[[str], None], *, wrong: str = "", over: str) -> None:
        self._say = say
        self._before = wrong
        self._over = over
        self._is = False

    def found(self, why: str) -> None:
        """Take in why it does not work now; empty where it does."""
        if bool(why) != self._is:
            self._say(self._before + why if why else self._over)
        self._is = bool(why)
