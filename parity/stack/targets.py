"""Instances behind target groups: checked, and sent to where the stack has a load balancer of its own."""

from __future__ import annotations

from collections.abc import Callable

from parity.model.scaling.balancing.health_checks import HealthCheck
from parity.model.scaling.world import CutOff, Deregister, Deregistered, Input, Register, TargetHealth
from parity.stack.balancer import Balancer
from parity.stack.checker import Checker


class Targets:
    """Carries out what concerns target groups.

    Args:
        tell: Where facts go.
        check_of: How a target group, by its ARN, has its targets checked; None: it is gone.
        address_of: An instance's address; empty while it does not run.
    """

    def __init__(
        self,
        tell: Callable[[Input], None],
        *,
        check_of: Callable[[str], HealthCheck | None],
        address_of: Callable[[str], str],
    ) -> None:
        self._tell = tell
        self._checker = Checker(check_of=check_of, address_of=address_of, found=self._found)
        #: The stack's own load balancer, where it has one; set before the first action.
        self.balancer: Balancer | None = None

    def start(self) -> None:
        """Begin to check, and to have the load balancer be as it should: once it is known which targets there are."""
        self._checker.start()
        if self.balancer is not None:
            self.balancer.start()

    def close(self) -> None:
        """Leave everything as it is."""
        self._checker.close()
        if self.balancer is not None:
            self.balancer.close()

    def apply(self, action: Register | Deregister | CutOff) -> None:
        """Take a target in, or out."""
        if isinstance(action, Register):
            self._checker.add(action.target_group, action.instance_id, action.port)
        else:
            self._checker.remove(action.target_group, action.instance_id)
        if balancer := self._balancer_of(action.target_group):
            balancer.apply(action)
        elif isinstance(action, Deregister):
            # Nothing is sent to it, so it has nothing under way.
            self._tell(Deregistered(action.target_group, action.instance_id))

    def _found(self, health: TargetHealth) -> None:
        if balancer := self._balancer_of(health.target_group):
            balancer.apply(health)
        else:
            self._tell(health)

    def _balancer_of(self, target_group: str) -> Balancer | None:
        balancer = self.balancer
        return balancer if balancer is not None and balancer.serves(target_group) else None
