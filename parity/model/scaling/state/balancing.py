"""What a region knows of load balancers, as data: a part of `State`, imported from there."""

from __future__ import annotations

from typing import Any

import msgspec


class Target(msgspec.Struct):
    """An instance behind a target group. `state` is ELBv2's: initial, healthy, unhealthy, draining, unused."""

    instance_id: str
    port: int
    state: str = "initial"
    reason: str = ""
    #: What it answered a health check that it fails by that.
    code: int = 0
    #: While it drains: when that is over whatever is still under way.
    drained_us: int = 0


class TargetGroup(msgspec.Struct):
    """A target group of a load balancer; `given` is CreateTargetGroup's request with its defaults."""

    arn: str
    name: str
    port: int
    protocol: str
    given: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    load_balancers: list[str] = []
    targets: dict[str, Target] = {}
    tags: dict[str, str] = {}


class Listener(msgspec.Struct):
    """A port of a load balancer and where it sends what comes there; `given` is CreateListener's request."""

    arn: str
    port: int
    protocol: str
    given: dict[str, Any] = {}
    tags: dict[str, str] = {}


class LoadBalancer(msgspec.Struct):
    """A load balancer; `given` is CreateLoadBalancer's request with its defaults."""

    arn: str
    name: str
    created_us: int
    given: dict[str, Any] = {}
    listeners: dict[str, Listener] = {}
    tags: dict[str, str] = {}
