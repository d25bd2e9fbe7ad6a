"""The endpoint as clients see it, over real sockets: what is modelled, what is not, and what is parity's own."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from contextlib import ExitStack, suppress
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from parity.aws import endpoint, notifier, server
from parity.aws.clock import Clock
from parity.aws.controller import Controller
from parity.aws.endpoint import Endpoint
from parity.aws.fleet import PaperFleet
from parity.aws.notifier import Notifier, subject
from parity.aws.others import Others, signed
from parity.aws.server import Server, loopback_socket
from parity.aws.wire.answers import Reply
from parity.errors import RecordError, ServiceError
from parity.model.scaling import region as registry
from parity.model.scaling.region import Region
from parity.model.scaling.state import State
from parity.model.scaling.world import Notify

ACCOUNT = "000000000000"
DEADLINE_S = 20


@pytest.fixture
def operations(monkeypatch):
    """Registers what operations answer, in place of the model's."""

    def register(service, name, function):
        monkeypatch.setitem(registry.OPERATIONS, (service, name), function)

    return register


@pytest.fixture(scope="module")
def others():
    services = Others(ACCOUNT)
    yield services
    services.close()


@pytest.fixture
def served(others):
    """A function that serves a new region, and gives its controller and URL."""
    with ExitStack() as stack:
        told = []
        controller = Controller(Region(State(seed=1, now_us=0)), PaperFleet(told.append), Clock(), None)
        stack.enter_context(controller)
        listening = stack.enter_context(Server(Endpoint(controller, others), [loopback_socket(0)]))
        yield controller, listening.url


def client(service, url, **more):
    config = Config(retries={"max_attempts": 1}, **more)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=url, config=config, **keys)


def test_a_call_reaches_the_region_and_its_answer_comes_back(served, operations):
    controller, url = served
    given = []

    def describe(region, request):
        given.append(request)
        names = request["AutoScalingGroupNames"]
        return {"AutoScalingGroups": [{"AutoScalingGroupName": name, "CreatedTime": region.now_us} for name in names]}

    operations("autoscaling", "DescribeAutoScalingGroups", describe)
    answer = client("autoscaling", url).describe_auto_scaling_groups(AutoScalingGroupNames=["a&b", "c"], MaxRecords=7)
    assert given == [{"AutoScalingGroupNames": ["a&b", "c"], "MaxRecords": 7}]
    assert [group["AutoScalingGroupName"] for group in answer["AutoScalingGroups"]] == ["a&b", "c"]
    [created, _] = [group["CreatedTime"].timestamp() for group in answer["AutoScalingGroups"]]
    assert abs(created - controller.clock.now_us() / 1e6) < DEADLINE_S


def test_refusals_defects_and_what_is_not_modelled(served, operations, caplog):
    _, url = served

    def refuse(region, request):
        raise ServiceError("ScalingActivityInProgress", "Scaling activity x is in progress and blocks this action")

    operations("autoscaling", "SetDesiredCapacity", refuse)

    def break_off(region, request):
        raise LookupError("missing")

    operations("autoscaling", "DescribeTags", break_off)
    autoscaling = client("autoscaling", url)
    with pytest.raises(autoscaling.exceptions.ScalingActivityInProgressFault, match="is in progress and blocks"):
        autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    with pytest.raises(ClientError, match=r"\(InternalFailure\).*defect of parity"):
        autoscaling.describe_tags()
    assert "DescribeTags of autoscaling broke off" in caplog.text

    def be_full(region, request):
        raise RecordError("the journal cannot be written: No space left on device")

    operations("autoscaling", "DescribePolicies", be_full)
    with pytest.raises(ClientError, match=r"\(InternalFailure\).*No space left on device"):
        autoscaling.describe_policies()
    with pytest.raises(ClientError, match=r"\(NotImplemented\).*CreateVpc of ec2 is an operation of AWS") as refusal:
        client("ec2", url).create_vpc(CidrBlock="10.0.0.0/16")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "CreateVpc" in caplog.text, "there is a line for parity logs"


def test_cloudwatch_in_what_boto3_sends_and_in_cbor(served, operations):
    _, url = served
    seen = []

    def put(region, request):
        seen.append(request["MetricData"][0])
        return {}

    def missing(region, request):
        raise ServiceError("ResourceNotFound", "no such alarm")

    operations("cloudwatch", "PutMetricData", put)
    operations("cloudwatch", "SetAlarmState", missing)
    cloudwatch = client("cloudwatch", url)
    # So many that the client packs them.
    data = [{"MetricName": "m", "Value": 2.5, "Timestamp": 1795629600} for _ in range(800)]
    cloudwatch.put_metric_data(Namespace="N", MetricData=data)
    assert seen == [{"MetricName": "m", "Value": 2.5, "Timestamp": 1795629600_000_000}]
    with pytest.raises(ClientError, match=r"\(ResourceNotFound\)"):
        cloudwatch.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="r")


def test_who_calls_is_the_accounts_root(served):
    _, url = served
    identity = client("sts", url).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


def test_services_that_are_not_modelled_are_motos_and_in_the_same_account(served):
    _, url = served
    s3 = client("s3", url, s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="archive")
    body = b"line\n" * 100_000
    s3.put_object(Bucket="archive", Key="logs/a b%2Fc", Body=body, Metadata={"under_score": "1"})
    got = s3.get_object(Bucket="archive", Key="logs/a b%2Fc")
    assert (got["Body"].read(), got["Metadata"]) == (body, {"under_score": "1"})
    assert s3.head_object(Bucket="archive", Key="logs/a b%2Fc")["ContentLength"] == len(body)
    queue = client("sqs", url).create_queue(QueueName="q-motos")["QueueUrl"]
    assert f"/{ACCOUNT}/" in queue
    assert client("sts", url).assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r", RoleSessionName="session")[
        "Credentials"
    ]


def test_messages_reach_a_queue_directly_and_by_a_topic(served, others, caplog):
    _, url = served
    sqs, sns = client("sqs", url), client("sns", url)
    queue = sqs.create_queue(QueueName="hooks")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="hooks")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    message = {"LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "EC2InstanceId": "i-1"}
    sender = Notifier(others)
    for target in (arn, topic, f"{arn}-nowhere", "arn:aws:lambda:x"):
        sender(Notify(target, message))
    sender.close()
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(one["Body"]) for one in found]
    assert message in bodies
    [by_topic] = [body for body in bodies if body != message]
    assert json.loads(by_topic["Message"]) == message
    assert by_topic["Subject"] == "Auto Scaling:  Lifecycle action 'TERMINATING' for instance i-1 in progress."
    assert "nowhere was not taken" in caplog.text
    assert "lambda:x was not delivered" in caplog.text


def test_a_subscriber_that_never_answers_holds_up_nobody_for_long(monkeypatch, caplog):
    """A topic may have one over HTTP, for which moto waits without a bound."""
    monkeypatch.setattr(notifier, "PATIENCE_S", 0.1)
    answered, taken = threading.Event(), []

    class Services:
        def request(self, _method, _target, _headers, body):
            if b"stuck" in body:
                answered.wait(DEADLINE_S)
            taken.append(body)
            return Reply()

    sender = Notifier(Services())
    for name in ("stuck", "queue"):
        sender(Notify(f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", {"EC2InstanceId": "i-1"}))
    sender.close()
    assert len(taken) == 1
    assert b"queue" in taken[0]
    assert ":stuck is not taken after 0 s; others go on" in caplog.text
    answered.set()


def test_subjects_are_those_of_aws():
    launched = {"Event": "autoscaling:EC2_INSTANCE_LAUNCH", "AutoScalingGroupName": "my-asg"}
    assert subject(launched) == 'Auto Scaling: launch for group "my-asg"'
    alarm = {"AlarmName": "a", "NewStateValue": "ALARM", "Region": "US East"}
    assert subject(alarm) == 'ALARM: "a" in US East'
    assert subject({}) == ""


def get(url, body=None):
    """Status and content; with a body it is a POST."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=DEADLINE_S) as reply:
            return reply.status, json.loads(reply.read())
    except HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def test_the_clock_is_told_and_set_forward(served):
    controller, url = served
    status, before = get(f"{url}/_parity/clock")
    assert (status, before["offset_s"], before["held"]) == (200, 0, False)
    status, after = get(f"{url}/_parity/clock", {"advance_s": 3600})
    assert status == 200
    assert after["offset_s"] == pytest.approx(3600, abs=DEADLINE_S)
    assert controller.clock.now_us() - before["now_us"] >= 3600_000_000
    for wrong in ({"advance_s": -1}, {"advance_s": "soon"}, {}, {"advance_s": 1e12}, {"advance_s": 1e300}):
        status, refused = get(f"{url}/_parity/clock", wrong)
        assert status == 400
        assert "advance_s" in refused["error"]
    # Beyond the end of times nothing could be told, ever again.
    assert get(f"{url}/_parity/clock")[0] == 200


def test_health_and_status_are_told_and_nothing_else(served):
    _, url = served
    assert get(f"{url}/_parity/health") == (200, {"status": "ok"})
    status, content = get(f"{url}/_parity/status")
    assert (status, content["account_id"], content["groups"]) == (200, ACCOUNT, [])
    assert get(f"{url}/_parity/nonsense")[0] == 404


def test_a_port_that_is_taken_gives_way_to_the_next():
    with loopback_socket(0) as first:
        first.listen()
        port = first.getsockname()[1]
        with loopback_socket(port) as second:
            assert second.getsockname()[0] == "127.0.0.1"
            assert second.getsockname()[1] != port
        with pytest.raises(OSError, match="in use"):
            loopback_socket(port, others_too=False)


def test_a_client_that_goes_away_within_its_request_harms_nobody(served):
    _, url = served
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=")
    assert get(f"{url}/_parity/health")[0] == 200


def let_go(url, said):
    """Begin a request, and wait until the endpoint ends the connection."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=DEADLINE_S) as half:
        half.sendall(said)
        with suppress(ConnectionResetError):
            assert half.recv(100) == b""


def test_who_begins_a_request_and_says_nothing_more_is_let_go(served, monkeypatch):
    """Else such connections pile up until no other is accepted."""
    monkeypatch.setattr(server, "SILENCE_S", 0.2)
    _, url = served
    for said in (b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction="):
        let_go(url, said)


def test_who_waits_for_an_answer_is_not_let_go(served, monkeypatch):
    """It may take longer: here, until somebody else who said nothing was let go."""
    monkeypatch.setattr(server, "SILENCE_S", 0.1)
    controller, url = served
    controller.wait_idle = lambda _patience_s: let_go(url, b"")
    assert get(f"{url}/_parity/clock", {"advance_s": 60})[0] == 200


def test_a_body_that_is_too_large_is_refused_before_it_is_read(served, monkeypatch):
    monkeypatch.setattr(endpoint.read_body, "__kwdefaults__", {"most_bytes": 1000})
    _, url = served
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=DEADLINE_S) as sender:
        sender.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"x" * 1001)
        answer = b"".join(iter(lambda: sender.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"<Code>EntityTooLarge</Code>" in answer


@pytest.mark.parametrize(
    ("service", "target", "said"),
    [
        ("sns", "", (400, b"<Code>InvalidAction</Code>")),
        ("sqs", "AmazonSQS.Nonsense", (400, b'"__type":"UnknownOperationException"')),
        ("ssm", "AmazonSSM.CreateActivation", (501, b'"__type":"NotImplemented"')),
        ("nobody", "Nobody.Nothing", (500, b'"__type":"InternalFailure"')),
    ],
)
def test_what_moto_does_not_know_is_refused_as_aws_does_and_logged(served, caplog, service, target, said):
    _, url = served
    headers = dict(signed(service, "us-east-1")) | ({"X-Amz-Target": target} if target else {})
    body = b"{}" if target else b"Action=Nonsense&Version=2010-03-31"
    request = urllib.request.Request(url, data=body, headers=headers)
    with pytest.raises(HTTPError) as refusal, urllib.request.urlopen(request, timeout=DEADLINE_S):
        pass
    assert refusal.value.code == said[0]
    assert said[1] in refusal.value.read()
    assert " refused: " in caplog.text


def test_a_journey_of_time_does_not_hold_up_other_requests(served, operations):
    """While the fleet is waited for, calls are answered, and the clock stands still."""
    controller, url = served
    waiting, on = threading.Event(), threading.Event()

    def idle(patience_s):
        waiting.set()
        assert on.wait(DEADLINE_S)

    controller.wait_idle = idle
    journey = threading.Thread(target=get, args=(f"{url}/_parity/clock", {"advance_s": 60}))
    journey.start()
    assert waiting.wait(DEADLINE_S)
    held = [get(f"{url}/_parity/clock")[1] for _ in range(2)]
    assert held[0]["held"]
    assert held[0]["now_us"] == held[1]["now_us"]
    on.set()
    journey.join(DEADLINE_S)
    assert not get(f"{url}/_parity/clock")[1]["held"]
