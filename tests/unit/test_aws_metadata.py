"""The metadata service as an instance sees it, through the relay's socket."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket

import pytest
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher

from parity.aws.clock import Clock
from parity.aws.controller import Controller
from parity.aws.fleet import PaperFleet
from parity.aws.metadata import Metadata, target_lifecycle_state
from parity.aws.server import FileSocket, Server, loopback_socket, source_of
from parity.model.scaling.api import Region
from parity.model.scaling.state import Group, Instance, LaunchSource, Member, State, WarmPool, Zone

ADDRESS, OTHER = "169.254.7.7", "169.254.7.8"
DEADLINE_S = 10


def made_instance(**more):
    return Instance(
        "i-1", "ami-1", "t3.micro", "us-east-1a", "subnet-1", 1_795_629_600_000_000, private_ip="10.0.0.7", **more
    )


def made_controller(instance):
    state = State(seed=1, zones=[Zone("us-east-1a", "use1-az1", "subnet-1", "10.0.0.0/24")])
    state.instances[instance.instance_id] = instance
    return Controller(Region(state), PaperFleet(lambda _: None), Clock(), None)


@contextlib.contextmanager
def service(tmp_path, **more):
    """A function that asks as an instance does: method, path, headers and the address it comes from."""
    at = tmp_path / "metadata.sock"
    # What an earlier process left.
    at.touch()
    controller = made_controller(made_instance(**more))
    app = Metadata(controller, {ADDRESS: "i-1", OTHER: "i-2"}.get)

    def ask(path, method="GET", headers=None, *, source=ADDRESS):
        connection = http.client.HTTPConnection("169.254.169.254")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(DEADLINE_S)
        connection.sock.connect(str(at))
        # In two pieces, as it may come.
        connection.sock.sendall(f"PROXY TCP4 {source} 169.254.169.254 ".encode())
        connection.sock.sendall(b"40312 80\r\n")
        connection.request(method, path, headers=headers or {})
        reply = connection.getresponse()
        content = reply.read().decode()
        connection.close()
        return reply.status, content

    with Server(app, [FileSocket(at)], relayed=True):
        yield ask
    assert not at.exists()


TOLD = {
    "meta-data/instance-id": "i-1",
    "meta-data/ami-id": "ami-1",
    "meta-data/instance-type": "t3.micro",
    "meta-data/local-ipv4": "10.0.0.7",
    "meta-data/placement/availability-zone": "us-east-1a",
    "meta-data/placement/region": "us-east-1",
    "meta-data/placement/": "availability-zone\navailability-zone-id\nregion",
    "meta-data/instance-life-cycle": "spot",
    "meta-data/spot/instance-action": '{"action":"terminate","time":"2026-11-25T18:02:00Z"}',
    "meta-data/events/recommendations/rebalance": '{"noticeTime":"2026-11-25T18:00:00Z"}',
    "meta-data/tags/instance/Name": "worker",
    "meta-data/tags/instance": "Name",
    "user-data": "#!/bin/sh\necho ä\n",
    "": "meta-data\ndynamic\nuser-data",
}


def test_a_socket_may_lie_as_deep_as_its_user_likes(tmp_path, monkeypatch):
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    (folder / "socket").write_text("left by an earlier process")
    with FileSocket(folder / "socket") as bound:
        bound.listen()
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("socket")


def test_what_an_instance_is_told(tmp_path):
    told = {
        "user_data": base64.b64encode("#!/bin/sh\necho ä\n".encode()).decode(),
        "spot": True,
        "spot_action_us": 1_795_629_720_000_000,
        "rebalance_us": 1_795_629_600_000_000,
        "tags": {"Name": "worker", "with space": "x"},
        "extra": {"MetadataOptions": {"InstanceMetadataTags": "enabled"}},
    }
    with service(tmp_path, **told) as ask:
        assert {path: ask(f"/latest/{path}")[1] for path in TOLD} == TOLD
        assert ask("/2021-07-15/meta-data/instance-id") == (200, "i-1")


def test_what_does_not_apply_is_not_there(tmp_path):
    with service(tmp_path, tags={"Name": "worker"}) as ask:
        for path in (
            *("meta-data/spot/instance-action", "meta-data/events/recommendations/rebalance", "user-data"),
            *("meta-data/tags/instance/Name", "meta-data/autoscaling/target-lifecycle-state", "nonsense"),
        ):
            assert ask(f"/latest/{path}")[0] == 404, path
        assert "spot/" not in ask("/latest/meta-data/")[1]
        assert ask("/nonsense/meta-data/instance-id")[0] == 404


def test_the_identity_document(tmp_path):
    with service(tmp_path) as ask:
        document = json.loads(ask("/latest/dynamic/instance-identity/document")[1])
    assert (document["instanceId"], document["region"], document["pendingTime"]) == (
        *("i-1", "us-east-1"),
        "2026-11-25T18:00:00Z",
    )


def test_tokens_are_needed_only_where_they_are_required(tmp_path):
    lasts = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    with service(tmp_path, extra={"MetadataOptions": {"HttpTokens": "required"}}) as ask:
        path = "/latest/meta-data/instance-id"
        assert ask(path)[0] == 401
        assert ask(path, headers={"x-aws-ec2-metadata-token": "guessed"})[0] == 401
        status, token = ask("/latest/api/token", "PUT", lasts)
        assert status == 200
        assert ask(path, headers={"x-aws-ec2-metadata-token": token}) == (200, "i-1")
        for wrong in ({}, {"x-aws-ec2-metadata-token-ttl-seconds": "0"}, {"x-aws-ec2-metadata-token-ttl-seconds": "x"}):
            assert ask("/latest/api/token", "PUT", wrong)[0] == 400
        assert ask("/latest/api/token", "PUT", lasts | {"X-Forwarded-For": "1.2.3.4"})[0] == 403
        assert ask(path, "POST")[0] == 405
    inner = tmp_path / "second"
    inner.mkdir()
    with service(inner) as ask:
        assert ask(path) == (200, "i-1")
        assert ask(path, headers={"x-aws-ec2-metadata-token": "guessed"})[0] == 401, "a wrong token is never right"


def test_strangers_and_those_switched_off_learn_nothing(tmp_path):
    with service(tmp_path, extra={"MetadataOptions": {"HttpEndpoint": "disabled"}}) as ask:
        assert ask("/latest/meta-data/instance-id")[0] == 403
        assert ask("/latest/meta-data/instance-id", source="169.254.9.9")[0] == 404
        assert ask("/latest/meta-data/instance-id", source=OTHER)[0] == 404, "an instance the region does not know"


def test_a_connection_without_the_relays_line_is_cut(tmp_path):
    with service(tmp_path):
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"x" * 200):
            with socket.socket(socket.AF_UNIX) as plain:
                plain.settimeout(DEADLINE_S)
                plain.connect(str(tmp_path / "metadata.sock"))
                plain.sendall(said)
                with contextlib.suppress(ConnectionResetError):
                    assert plain.recv(100) == b""


def test_an_instance_that_asks_while_it_is_started_waits_for_its_address(tmp_path):
    instance = made_instance()
    instance.private_ip = ""
    controller = made_controller(instance)
    looks = []
    look = controller.look

    def looked(read):
        looks.append(read)
        if len(looks) == 2:
            instance.private_ip = "10.0.0.9"
        return look(read)

    controller.look = looked
    with Server(Metadata(controller, lambda _: "i-1"), [loopback_socket(0)]) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
        connection.request("GET", "/latest/meta-data/local-ipv4")
        assert connection.getresponse().read() == b"10.0.0.9"


def test_botocore_finds_its_region_there():
    controller = made_controller(made_instance(extra={"MetadataOptions": {"HttpTokens": "required"}}))
    with Server(Metadata(controller, lambda _: "i-1"), [loopback_socket(0)]) as server:
        fetcher = InstanceMetadataRegionFetcher(base_url=server.url + "/", timeout=DEADLINE_S, num_attempts=1)
        assert fetcher.retrieve_region() == "us-east-1"
        credentials = InstanceMetadataFetcher(base_url=server.url + "/", timeout=DEADLINE_S, num_attempts=1)
        assert credentials.retrieve_iam_role_credentials() == {}, "there are no roles"


@pytest.mark.parametrize(
    ("lifecycle", "target"),
    [
        *(("Pending", "InService"), ("Pending:Wait", "InService"), ("InService", "InService")),
        *(("Terminating:Wait", "Terminated"), ("EnteringStandby", "Standby"), ("Standby", "Standby")),
        *(
            ("Detaching", "Detached"),
            ("Warmed:Pending:Wait", "Warmed:Hibernated"),
            ("Warmed:Stopped", "Warmed:Stopped"),
        ),
        *(("Warmed:Terminating:Wait", "Terminated"), ("gone", "Terminated")),
    ],
)
def test_the_state_that_an_instance_is_on_its_way_to(lifecycle, target):
    instance = made_instance(group="g")
    state = State(seed=1, instances={"i-1": instance})
    pool = WarmPool(state="Hibernated")
    group = Group("g", "arn", 0, 0, 1, 1, LaunchSource(), ["us-east-1a"], warm_pool=pool)
    state.groups["g"] = group
    if lifecycle == "gone":
        instance.state = "shutting-down"
    else:
        members = pool.members if lifecycle.startswith("Warmed") else group.members
        members["i-1"] = Member("i-1", lifecycle, "us-east-1a", LaunchSource())
    assert target_lifecycle_state(state, instance) == target


@pytest.mark.parametrize(
    "line", [b"", b"GET / HTTP/1.1", b"PROXY UNKNOWN", b"PROXY TCP4 1.2.3.4 5.6.7.8 x 80", b"PROXY TCP6 a b 1 2"]
)
def test_what_is_no_line_of_the_proxy_protocol(line):
    assert source_of(line) is None
