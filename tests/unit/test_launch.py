"""Containers made from a compose service's definition: both of compose's syntaxes come to the same."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from parity.stack import compose, launch, owner

LABELS = {owner.LABEL_STACK: "abcd"}


class TestEnvironment:
    def test_a_list_and_a_mapping_are_the_same(self):
        expected = {"A": "1", "B": "x=y", "C": ""}
        assert launch._environment(["A=1", "B=x=y", "C="]) == expected
        assert launch._environment({"A": 1, "B": "x=y", "C": ""}) == expected

    def test_a_variable_that_the_user_does_not_have_is_not_set(self):
        """`NAME` without a value passes the user's own on; the compose tool leaves it empty where there is none."""
        assert launch._environment({"A": None, "B": "1"}) == {"B": "1"}
        assert launch._environment(["A", "B=1"]) == {"B": "1"}

    def test_a_doubled_dollar_is_one(self):
        assert launch._environment({"A": "$$HOME costs $$5"}) == {"A": "$HOME costs $5"}

    def test_nothing_is_nothing(self):
        assert launch._environment(None) == {}


def mount(volume: object) -> dict:
    made = launch._mount(volume, LABELS)
    return {key: value for key, value in made.items() if value not in (None, False)}


class TestVolumes:
    @pytest.mark.parametrize(
        "volume", ["/h/x:/x:ro", {"type": "bind", "source": "/h/x", "target": "/x", "read_only": True}]
    )
    def test_a_folder_of_the_host_is_bound(self, volume):
        assert mount(volume) == {"Target": "/x", "Source": "/h/x", "Type": "bind", "ReadOnly": True}

    @pytest.mark.parametrize("volume", ["data:/x:rw", "data:/x", {"type": "volume", "source": "data", "target": "/x"}])
    def test_a_named_volume_is_the_stacks_own_and_carries_its_labels(self, volume):
        """One by its bare name would be the machine's, shared by every stack and removed by none."""
        assert mount(volume) == {
            "Target": "/x",
            "Source": "parity-abcd_data",
            "Type": "volume",
            "VolumeOptions": {"Labels": LABELS},
        }

    @pytest.mark.parametrize("volume", ["/x", {"type": "volume", "target": "/x"}])
    def test_a_volume_without_a_name_goes_with_its_container(self, volume):
        made = mount(volume)
        assert made["Target"] == "/x"
        assert made["Type"] == "volume"
        assert "Source" not in made

    def test_a_memory_file_system_needs_no_source(self):
        assert mount({"type": "tmpfs", "target": "/t"}) == {"Target": "/t", "Type": "tmpfs"}


class TestGrace:
    @pytest.mark.parametrize(
        ("stated", "seconds"),
        [("1m30s", 90), ("90s", 90), ("2m0s", 120), ("1h", 3600), ("20s", 20), ("1.6s", 2), ("100ms", 1), ("0s", 1)],
    )
    def test_it_is_whole_seconds_and_at_least_one(self, stated, seconds):
        assert compose.stop_grace_s({"stop_grace_period": stated}) == seconds

    def test_it_is_ten_where_the_service_does_not_say(self):
        assert compose.stop_grace_s({}) == 10


class TestFollowing:
    def test_what_cannot_be_followed_is_named(self):
        assert launch.cannot_follow({"image": "a", "pid": "host", "devices": ["/dev/x"]}) == ["devices", "pid"]

    def test_what_says_nothing_is_passed_over(self):
        """The compose tool writes empty members, and users their own `x-` ones."""
        stated = {"image": "a", "x-mine": 1, "pid": None, "devices": [], "networks": {"default": None}, "restart": "no"}
        assert launch.cannot_follow(stated) == []


class TestProcessors:
    """A quota and no `NanoCpus`: the engine refuses another quota to what has that, and a fault gives one."""

    @pytest.mark.parametrize(
        ("stated", "quota"),
        [
            ({"cpus": 0.2}, {"cpu_period": 100_000, "cpu_quota": 20_000}),
            ({"deploy": {"resources": {"limits": {"cpus": "1.5"}}}}, {"cpu_period": 100_000, "cpu_quota": 150_000}),
            ({}, {}),
        ],
    )
    def test_a_limit_is_a_quota(self, monkeypatch, stated, quota):
        asked: dict = {}
        containers = SimpleNamespace(create=lambda image, **options: asked.update(options) or image)
        monkeypatch.setattr(launch, "engine", lambda: SimpleNamespace(containers=containers))
        launch.create(stated, image="a", name="n", network="net", alias="n", environment={}, labels=LABELS)
        assert {key: value for key, value in asked.items() if "cpu" in key} == quota


def test_limits_are_a_number_or_a_pair():
    made = launch._ulimits({"nofile": 64, "nproc": {"soft": 1, "hard": 2}})
    assert [(one.name, one.soft, one.hard) for one in made] == [("nofile", 64, 64), ("nproc", 1, 2)]
