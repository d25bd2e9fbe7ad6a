"""Requests that are well formed and otherwise anything: each is answered or refused, and none breaks off."""

from __future__ import annotations

import random

import pytest
from scaling_region import Grouped

from parity.aws.wire.answers import answered
from parity.aws.wire.checks import check_request
from parity.aws.wire.models import operation_model
from parity.aws.wire.requests import Asked
from parity.errors import ServiceError
from parity.model.scaling.api import OPERATIONS

NUMBERS = [-2, -1, 0, 1, 2, 60, 300, 2**31 - 1, -(2**31)]
PROTOCOLS = {"ec2": "ec2", "cloudwatch": "json"}
SCALARS = {
    "boolean": [True, False],
    "timestamp": [
        *((1_795_629_600 + seconds) * 1_000_000 for seconds in (-3600, 0, 60, 86_400)),
        # The first and the last that a client can write.
        *(seconds * 1_000_000 for seconds in (-62_135_596_800, 253_402_300_799)),
    ],
    "blob": [b"blob"],
    "float": [*map(float, NUMBERS), 1e308, 5e-324],
    "double": [*map(float, NUMBERS), 1e308, 5e-324],
}
WORDS = ["g", "a", "lc", "", "0 * * * *", "Etc/UTC", "10", "ABANDON", "CONTINUE", "Default", "é\0😀" * 300]


class Drawn:
    """Requests drawn for a region: about half of their strings name something that is there."""

    def __init__(self, bench: Grouped, seed: int) -> None:
        self._draw = random.Random(seed)
        state = bench.region.state
        self._there = [
            *state.instances,
            *state.target_groups,
            *state.load_balancers,
            *(arn for balancer in state.load_balancers.values() for arn in balancer.listeners),
            *(zone.subnet_id for zone in state.zones),
            *state.images,
        ]

    def value(self, shape, name, depth=0):
        """A value of a shape that a member of this name has."""
        match shape.type_name:
            case "structure":
                return {
                    member: self.value(below, member, depth + 1)
                    for member, below in shape.members.items()
                    if member in shape.required_members or self._draw.random() < (0.35 if depth < 4 else 0)
                }
            case "list":
                return [self.value(shape.member, name, depth + 1) for _ in range(self._draw.choice([0, 1, 1, 2]))]
            case "map":
                return {self.value(shape.key, name): self.value(shape.value, name, depth + 1)}
            case "string":
                return self._text(shape, name)
            case other:
                return self._draw.choice(SCALARS.get(other, NUMBERS))

    def _text(self, shape, name):
        if enum := getattr(shape, "enum", None):
            return self._draw.choice(enum)
        if name in {"AutoScalingGroupName", "AutoScalingGroupNames"}:
            return self._draw.choice(["g", "g", "g", "a"])
        kinds = {"Instance": "i-", "TargetGroup": "targetgroup/", "LoadBalancer": ":loadbalancer/", "Subnet": "subnet-"}
        for kind, part in kinds.items():
            if name.startswith(kind):
                found = [one for one in self._there if part in one]
                return self._draw.choice([*found, "a"])
        return self._draw.choice([*WORDS, *self._there])


@pytest.mark.parametrize("seed", range(8))
def test_no_request_breaks_off(seed):
    draw = random.Random(seed)
    bench = Grouped()
    # A capacity of two thousand millions would be reached, or this many.
    bench.region.state.instances_max = 30
    bench.group(desired=2)
    operations = sorted(OPERATIONS)
    carried_out = 0
    for number in range(1500):
        service, name = draw.choice(operations)
        model = operation_model(service, name)
        shape = model.input_shape
        request = {} if shape is None else Drawn(bench, draw.randrange(2**32)).value(shape, "")
        bench.now_us += draw.choice([0, 1_000_000, 30_000_000])
        try:
            check_request(model, request)
            answer = bench.region.call(bench.now_us, service, name, request)
            answered(
                Asked(service=service, operation=name, protocol=PROTOCOLS.get(service, "query"), content={}), answer, ""
            )
        except ServiceError:
            pass
        except Exception as problem:
            raise AssertionError(f"request {number}: {name} of {service} broke off: {request}") from problem
        else:
            carried_out += 1
        bench.run()
    assert carried_out > 100
