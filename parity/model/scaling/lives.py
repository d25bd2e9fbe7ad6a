"""What a world in virtual time is made of: how long things take, instances that live, launches that fail."""

from __future__ import annotations

from dataclasses import dataclass, field

from parity.model.scaling.state import SECOND_US


@dataclass(kw_only=True)
class Timing:
    """How long things take in a world, in microseconds.

    Args:
        boot_us: From the launch, or the start, of an instance until it runs or has failed.
        end_us: From the request to terminate it until nothing is left of it.
        stop_us: From the request to stop it until it is stopped.
        check_us: From the moment an instance hangs, or answers again, until status checks say so. EC2 checks each
            minute, and an instance is impaired after two failures.
        target_us: From its registration until a load balancer's health checks say that an instance answers.
        drain_us: From its deregistration until it has no request under way.
        image_us: From the request to make an image until it is there.
    """

    boot_us: int = 5 * SECOND_US
    end_us: int = 2 * SECOND_US
    stop_us: int = 2 * SECOND_US
    check_us: int = 120 * SECOND_US
    target_us: int = 10 * SECOND_US
    drain_us: int = 0
    image_us: int = 10 * SECOND_US


@dataclass(kw_only=True)
class Life:
    """What there is of an instance. `state` is booting, running, stopping, stopped or ending."""

    instance_id: str
    zone: str
    group: str
    private_ip: str
    state: str = "booting"
    #: Whether it ever ran: what could not be started again stays stopped.
    ran: bool = False
    hung: bool = False
    #: Load balancers that send to it, and whether it answers their checks.
    targets: dict[str, bool] = field(default_factory=dict)
    #: Goes up whenever what was to become of it is void.
    turn: int = 0


@dataclass(kw_only=True)
class Refusal:
    """Why launches fail; `left` is how many still do, None where all do."""

    message: str
    code: str
    zone: str
    left: int | None
