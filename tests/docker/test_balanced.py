"""A load balancer in a kept stack: requests reach the instances in service, and the group follows their number."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")

from kept import GROUP, Kept, awaited, kept_stack, log_of

from parity.stack import launch
from parity.stack.haproxy import Runtime

pytestmark = pytest.mark.docker
TIMEOUT_S = 30


class Site:
    """A kept stack with a load balancer, seen from its clients."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.runtime = Runtime(lambda: (launch.address(kept.service("haproxy")), 9999), backend="targets")
        (self.group,) = kept.client("elbv2").describe_target_groups()["TargetGroups"]

    def ask(self, path: str = "/") -> str:
        """The instance that answers."""
        url = f"http://{launch.address(self.kept.service('haproxy'))}{path}"
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return answer.read().decode().strip()

    def spread(self, count: int = 30) -> Counter[str]:
        return Counter(self.ask() for _ in range(count))

    def under_way(self) -> dict[str, int]:
        """How many requests each instance is at, as HAProxy counts."""
        return {name: server.under_way for name, server in self.runtime.servers().items()}

    def trouble(self) -> str:
        """What HAProxy says of requests that did not go well."""
        return "\n".join(line for line in log_of(self.kept.service("haproxy")).splitlines() if " http targets/" in line)

    def health(self) -> dict[str, str]:
        told = self.kept.client("elbv2").describe_target_health(TargetGroupArn=self.arn)
        return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in told["TargetHealthDescriptions"]}

    @property
    def arn(self) -> str:
        return str(self.group["TargetGroupArn"])

    def why(self) -> dict[str, str]:
        """What is said of each target's health."""
        told = self.kept.client("elbv2").describe_target_health(TargetGroupArn=self.arn)
        return {
            one["Target"]["Id"]: one["TargetHealth"].get("Description", "") for one in told["TargetHealthDescriptions"]
        }

    def modify(self, **check: Any) -> None:
        self.kept.client("elbv2").modify_target_group(TargetGroupArn=self.arn, **check)

    @contextmanager
    def checked(self, **check: Any) -> Iterator[None]:
        """Have targets checked otherwise for a time."""
        self.modify(**check)
        try:
            yield
        finally:
            self.modify(HealthCheckPath=self.group["HealthCheckPath"], Matcher=self.group["Matcher"])

    @contextmanager
    def without(self, instance: str) -> Iterator[None]:
        """Have an instance be no target for a time."""
        elb, targets = self.kept.client("elbv2"), [{"Id": instance}]
        elb.deregister_targets(TargetGroupArn=self.arn, Targets=targets)
        try:
            assert self.health()[instance] == "draining"
            yield
        finally:
            elb.register_targets(TargetGroupArn=self.arn, Targets=targets)

    def at(self, count: int) -> list[str]:
        """Have so many instances, all of them healthy targets."""
        instances = self.kept.at(count)
        awaited("healthy targets", lambda: self.health() == dict.fromkeys(instances, "healthy"))
        return instances


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with kept_stack(tmp_path_factory.mktemp("balanced"), overlay="balanced") as kept:
        yield Site(kept)


@contextmanager
def load(site: Site, clients: int) -> Iterator[list[Exception]]:
    """So many clients that ask one request after the other; what went wrong for them."""
    ended, wrong = threading.Event(), list[Exception]()

    def ask() -> None:
        while not ended.is_set():
            try:
                site.ask("/slow?0.1")
            except (OSError, http.client.HTTPException) as error:
                wrong.append(error)

    with ThreadPoolExecutor(max_workers=clients) as pool:
        for _ in range(clients):
            pool.submit(ask)
        try:
            yield wrong
        finally:
            ended.set()


def test_requests_are_spread_over_the_instances_in_service(site: Site) -> None:
    instances = site.at(3)
    assert dict(site.spread(30)) == dict.fromkeys(instances, 10)


def test_a_target_drains_before_its_instance_goes(site: Site) -> None:
    """A request that is under way is answered, though its instance is scaled in meanwhile; no new ones reach it."""
    instances = site.at(2)
    with ThreadPoolExecutor(max_workers=2) as pool:
        slow = [pool.submit(site.ask, "/slow?8") for _ in range(2)]
        awaited("both at work", lambda: site.under_way() == dict.fromkeys(instances, 1))
        site.kept.resize(1)
        awaited("one draining", lambda: "draining" in site.health().values())
        (stays,) = [name for name, state in site.health().items() if state == "healthy"]
        assert set(site.spread(6)) == {stays}
        assert {one.result(TIMEOUT_S) for one in slow} == set(instances)
    assert site.kept.settled(1) == [stays]


def test_no_request_is_lost_while_the_group_grows_and_shrinks(site: Site) -> None:
    site.at(1)
    with load(site, 4) as wrong:
        site.at(3)
        site.at(1)
    assert wrong == [], site.trouble()


def test_what_does_not_answer_is_unhealthy_and_gets_no_requests(site: Site) -> None:
    first, _second = sorted(site.at(2))
    # Its HTTP server stands still, and its worker goes on. The shell that looks for it must not find itself.
    script = "for p in /proc/[0-9]*; do grep -q '[w]eb.py' $p/cmdline && kill -STOP ${p#/proc/}; done; true"
    assert site.kept.containers()[first].exec_run(["sh", "-c", script]).exit_code == 0
    awaited("an unhealthy target", lambda: site.health()[first] == "unhealthy")
    assert first not in site.spread(6)
    site.kept.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=first, ShouldDecrementDesiredCapacity=False
    )
    awaited("another in its place", lambda: first not in site.health() and len(site.kept.settled(2)) == 2)


def test_the_target_groups_health_check_is_obeyed(site: Site) -> None:
    """Targets that are there already are checked anew, by another path and for other codes."""
    (instance,) = site.at(1)
    with site.checked(HealthCheckPath="/answer?404"):
        awaited("an unhealthy target", lambda: site.why()[instance] == "Health checks failed with these codes: [404]")
        # With no other it is sent to all the same, as ELBv2 does.
        assert site.ask() == instance
        site.modify(Matcher={"HttpCode": "200,400-410"})
        awaited("a healthy target", lambda: site.health()[instance] == "healthy")


def test_what_is_under_way_when_the_deregistration_delay_is_over_is_cut_off(site: Site) -> None:
    """The delay is in the region's time: none of its 300 s are waited for."""
    first, second = site.at(2)
    with ThreadPoolExecutor(max_workers=2) as pool:
        slow = [pool.submit(site.ask, "/slow?25") for _ in range(2)]
        awaited("both at work", lambda: site.under_way() == dict.fromkeys([first, second], 1))
        with site.without(first):
            site.kept.parity("clock", "advance", "300s", "--stack", site.kept.name)
            awaited("one less under way", lambda: site.under_way() == {second: 1})
        answers = {type(one.exception(TIMEOUT_S)) if one.exception(TIMEOUT_S) else one.result() for one in slow}
    assert answers == {urllib.error.HTTPError, second}


def test_no_request_is_lost_while_parity_is_killed_and_started_again(site: Site) -> None:
    """A new process takes over the servers that the load balancer has, and what their state was."""
    site.at(2)
    with load(site, 4) as wrong:
        os.kill(site.kept.attendant, signal.SIGKILL)
        site.kept.up()
        site.at(2)
    assert wrong == [], site.trouble()


def test_servers_are_there_again_after_the_balancer_was_started_again(site: Site) -> None:
    instances = site.at(2)
    site.kept.service("haproxy").restart(timeout=0)

    def spread() -> bool:
        try:
            return set(site.spread(6)) == set(instances)
        except OSError:
            return False

    awaited("requests that reach both", spread)


@contextmanager
def tracked(site: Site, *, per_target: float, most: int) -> Iterator[None]:
    """Have the group follow the requests for each target, up to so many instances, for a time."""
    scaling = site.kept.client("autoscaling")
    (balancer,) = site.group["LoadBalancerArns"]
    label = f"{balancer.partition(':loadbalancer/')[2]}/{site.arn.rpartition(':')[2]}"
    before = site.kept.group()["MaxSize"]
    scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=most)
    scaling.put_scaling_policy(
        AutoScalingGroupName=GROUP,
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        EstimatedInstanceWarmup=0,
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ALBRequestCountPerTarget",
                "ResourceLabel": label,
            },
            "TargetValue": per_target,
        },
    )
    try:
        yield
    finally:
        scaling.delete_policy(AutoScalingGroupName=GROUP, PolicyName="requests")
        scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=before)


def test_the_group_follows_the_requests_for_each_target(site: Site) -> None:
    """Target tracking on ALBRequestCountPerTarget scales out under real requests; most of each minute is skipped."""
    site.at(1)
    scaling = site.kept.client("autoscaling")

    def grown() -> bool:
        site.kept.parity("clock", "advance", "55s", "--stack", site.kept.name)
        return bool(site.kept.group()["DesiredCapacity"] > 1)

    with load(site, 4) as wrong, tracked(site, per_target=5.0, most=2):
        awaited("a larger group", grown, within_s=180)
        site.kept.settled(2)
    assert wrong == [], site.trouble()
    causes = [one["Cause"] for one in scaling.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]]
    assert any("TargetTracking-" in cause and "in state ALARM triggered policy requests" in cause for cause in causes)
