"""The one file that parity renders for the compose tool: nothing of it listens, restarts or stays behind by itself."""

from __future__ import annotations

import pytest
import yaml

from parity.stack.compose import render

LABELS = {"dev.parity.stack": "abcd", "dev.parity.host": "here"}


def rendered(services: dict, *, ports: dict | None = None) -> dict:
    images = {"r": "parity/r:1", "p": "p:17"}
    return yaml.safe_load(render(services, ports=ports or {}, images=images, labels=LABELS))


def service(**stated: object) -> dict:
    """The rendered form of one service that states this."""
    return rendered({"one": {"image": "r", **stated}, "two": {"image": "p"}})["services"]["one"]


class TestWhatIsTakenAway:
    @pytest.mark.parametrize(
        "stated",
        [
            {"ports": ["5672:5672", "0.0.0.0:80:80"]},
            {"ports": [{"published": 80, "target": 80}]},
            {"ports": [{"mode": "ingress", "target": 80, "published": "80", "protocol": "tcp", "host_ip": "0.0.0.0"}]},
            {"network_mode": "host"},
            {"networks": {"default": None}},
            {"networks": ["inner", "outer"]},
            {"container_name": "rabbit"},
            {"restart": "always"},
            {"build": {"context": "/src"}},
            {"profiles": ["debug"]},
            {"scale": 3},
            {"pull_policy": "always"},
            {"deploy": {"replicas": 3, "restart_policy": {"condition": "any"}}},
        ],
        ids=lambda stated: next(iter(stated)),
    )
    def test_what_parity_decides_is_as_if_it_had_not_been_stated(self, stated):
        assert service(**stated) == service()

    def test_no_service_is_started_again_by_the_engine(self):
        assert service(restart="unless-stopped")["restart"] == "no"

    def test_limits_stay(self):
        limits = {"limits": {"cpus": "0.5", "memory": "64M"}}
        assert service(deploy={"replicas": 3, "resources": limits})["deploy"] == {"resources": limits}

    def test_everything_else_stays(self):
        stated = {"hostname": "h", "environment": {"A": "b$$c"}, "command": "run $$X", "healthcheck": {"test": "x"}}
        assert stated.items() <= service(**stated).items()


class TestPorts:
    def test_a_port_is_ephemeral_and_on_loopback_only(self):
        document = rendered({"one": {"image": "r", "ports": ["80:80"]}}, ports={"one": [15672, 5672]})
        assert document["services"]["one"]["ports"] == ["127.0.0.1::15672", "127.0.0.1::5672"]

    def test_a_service_nobody_asks_for_listens_nowhere(self):
        assert service(ports=["80:80"])["ports"] == []


class TestLabels:
    def test_every_service_network_and_volume_carries_them(self):
        document = rendered({"one": {"image": "r", "volumes": ["data:/d"]}, "two": {"image": "p"}})
        assert all(LABELS.items() <= one["labels"].items() for one in document["services"].values())
        assert document["networks"] == {"default": {"labels": LABELS}}
        assert document["volumes"] == {"data": {"labels": LABELS}}

    @pytest.mark.parametrize("stated", [{"own": "1", "dev.parity.stack": "x"}, ["own=1", "dev.parity.stack=x"]])
    def test_a_services_own_stay_and_cannot_pass_for_parity(self, stated):
        assert service(labels=stated)["labels"] == {"own": "1"} | LABELS


class TestDependsOn:
    @pytest.mark.parametrize(
        "stated",
        [
            ["two", "worker"],
            {"two": {"condition": "service_healthy", "required": True}, "worker": {"condition": "service_started"}},
        ],
        ids=["list", "mapping"],
    )
    def test_what_is_not_in_the_file_is_not_waited_for(self, stated):
        assert service(depends_on=stated)["depends_on"] == ["two"]


class TestVolumes:
    @pytest.mark.parametrize(
        "stated",
        [
            "data:/var/lib/x:rw",
            {"type": "volume", "source": "data", "target": "/var/lib/x", "volume": {}},
        ],
        ids=["short", "long"],
    )
    def test_a_named_volume_is_declared_with_labels(self, stated):
        assert rendered({"one": {"image": "r", "volumes": [stated]}})["volumes"] == {"data": {"labels": LABELS}}

    @pytest.mark.parametrize(
        "stated",
        [
            "/host/x:/x:ro",
            "./x:/x",
            "~/x:/x",
            "/anonymous",
            {"type": "bind", "source": "/host/x", "target": "/x"},
            {"type": "volume", "target": "/anonymous"},
            {"type": "tmpfs", "target": "/t"},
        ],
        ids=str,
    )
    def test_nothing_else_is_one(self, stated):
        assert rendered({"one": {"image": "r", "volumes": [stated]}})["volumes"] == {}


def test_the_image_is_the_one_that_was_prepared():
    assert rendered({"one": {"image": "r"}, "two": {"image": "p"}})["services"]["one"]["image"] == "parity/r:1"
