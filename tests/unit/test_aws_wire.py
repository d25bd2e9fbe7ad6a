"""Every request that botocore writes is read as it was meant, and it reads every answer as it was given."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from botocore.parsers import PROTOCOL_PARSERS
from botocore.serialize import SERIALIZERS

from parity.aws.times import iso_time, parse_time
from parity.aws.wire import cbor
from parity.aws.wire.answers import answered, refused
from parity.aws.wire.checks import check_request
from parity.aws.wire.form import tree
from parity.aws.wire.models import operation_model, service_model
from parity.aws.wire.requests import BODY_BYTES_MAX, Asked, asked, parameters
from parity.errors import ServiceError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: EC2 has 800 operations; these are the ones that matter here and some with nested lists, maps of blobs and the like.
EC2 = """
    CreateFleet CreateImage CreateLaunchTemplate CreateLaunchTemplateVersion CreateTags DescribeAvailabilityZones
    DescribeImages DescribeInstanceStatus DescribeInstances DescribeLaunchTemplateVersions DescribeSecurityGroups
    DescribeSubnets DescribeVpcs ImportKeyPair ModifyLaunchTemplate RunInstances StartInstances StopInstances
    TerminateInstances
"""
PROTOCOLS = {
    "autoscaling": ["query"],
    "elbv2": ["query"],
    "sts": ["query"],
    "ec2": ["ec2"],
    "cloudwatch": ["query", "json", "smithy-rpc-v2-cbor"],
}
OPERATIONS = [
    (service, protocol, name)
    for service, protocols in PROTOCOLS.items()
    for protocol in protocols
    for name in (EC2.split() if service == "ec2" else service_model(service).operation_names)
]
CASES = pytest.mark.parametrize(("service", "protocol", "name"), OPERATIONS)


INTEGERS = [0, 7, 23, 24, 255, 70_000, -1, -300]
FLOATS = [0.0, 1.5, -2.25, 1e9]
SCALARS = {
    "string": ["a", "x&y <z>", "ä=1+2%", "a.b", "t\r\n"],
    "integer": INTEGERS,
    "long": [*INTEGERS, 2**40],
    "float": FLOATS,
    "double": FLOATS,
    "boolean": [True, False],
    "timestamp": [EPOCH, EPOCH + timedelta(seconds=1_795_629_600)],
    "blob": [b"\x00\xffblob"],
}


class Made:
    """Values of a shape, drawn; both as botocore has them and as the region has them."""

    def __init__(self, seed):
        self._draw = random.Random(seed)

    def value(self, shape, depth=0):
        if shape.type_name in {"structure", "list", "map"}:
            return getattr(self, f"_{shape.type_name}")(shape, depth)
        allowed = getattr(shape, "enum", None)
        theirs = self._draw.choice(allowed or SCALARS[shape.type_name])
        return theirs, (theirs - EPOCH) // timedelta(microseconds=1) if isinstance(theirs, datetime) else theirs

    def _structure(self, shape, depth):
        theirs, ours = {}, {}
        names = [n for n in shape.members if n in shape.required_members or self._draw.random() < 0.7**depth]
        if depth > 6:
            names = [n for n in names if n in shape.required_members]
        if shape.is_tagged_union:
            names = [self._draw.choice(list(shape.members))]
        for name in names:
            theirs[name], ours[name] = self.value(shape.members[name], depth + 1)
        return theirs, ours

    def _list(self, shape, depth):
        count = self._draw.randrange(3)
        items = [self.value(shape.member, depth + 1) for _ in range(count)]
        # A form cannot say that there is a structure without members.
        items = [item for item in items if item[0] != {}]
        return [theirs for theirs, _ in items], [ours for _, ours in items]

    def _map(self, shape, depth):
        keys = [self.value(shape.key)[0] for _ in range(self._draw.randrange(1, 3))]
        pairs = {key: self.value(shape.value, depth + 1) for key in keys}
        return {k: v[0] for k, v in pairs.items()}, {k: v[1] for k, v in pairs.items()}


def pruned(value):
    """Without structures and lists that have nothing in them: a form does not say that they are there."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(pruned, value) if item not in ({}, [])]
    return value


def sent(service, protocol, name, given):
    """What botocore sends for a call, and what is understood."""
    operation = operation_model(service, name)
    made = SERIALIZERS[protocol]().serialize_to_request(given, operation)
    body = made["body"]
    raw = urlencode(body).encode() if isinstance(body, dict) else body if isinstance(body, bytes) else body.encode()
    headers = {key.lower(): value for key, value in made["headers"].items()}
    signed = {"autoscaling": "autoscaling", "elbv2": "elasticloadbalancing", "cloudwatch": "monitoring"}
    scope = f"k/20200101/us-east-1/{signed.get(service, service)}/aws4_request"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"
    return asked(made["url_path"], "", headers, raw)


@CASES
def test_requests_of_botocore_are_read_as_they_were_meant(service, protocol, name, monkeypatch):
    monkeypatch.setattr("parity.aws.wire.requests.check_request", lambda *_: None)
    shape = operation_model(service, name).input_shape
    for seed in range(5):
        theirs, ours = ({}, {}) if shape is None else Made(seed).value(shape)
        request = sent(service, protocol, name, theirs)
        assert (request.service, request.protocol, request.operation) == (service, protocol, name)
        understood, unknown = parameters(request)
        assert unknown == []
        assert pruned(understood) == pruned(ours)


@CASES
def test_answers_are_read_by_botocore_as_they_were_given(service, protocol, name):
    operation = operation_model(service, name)
    shape = operation.output_shape
    for seed in range(5):
        theirs, ours = ({}, {}) if shape is None else Made(seed).value(shape)
        reply = answered(Asked(service=service, operation=name, protocol=protocol, content={}), ours, "an-id")
        read = parsed(protocol, reply, shape)
        # What answers nothing has no body in CBOR that could be read.
        assert read.pop("ResponseMetadata").get("RequestId") == ("an-id" if shape or "cbor" not in protocol else None)
        if shape is None:
            theirs = read if read == {"return": "true"} else {}
        assert pruned(normal(read)) == pruned(normal(theirs))


def normal(value):
    """With times of one zone."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def parsed(protocol, reply, shape):
    parser = PROTOCOL_PARSERS[protocol]()
    return parser.parse({"body": reply.body, "headers": reply.headers, "status_code": reply.status}, shape)


@pytest.mark.parametrize("protocol", ["query", "json", "smithy-rpc-v2-cbor"])
def test_refusals_have_the_code_the_status_and_the_fault(protocol):
    request = Asked(service="cloudwatch", operation="SetAlarmState", protocol=protocol, content={})
    reply = refused(request, ServiceError("ResourceNotFound", "no <such> alarm"), "an-id")
    read = parsed(protocol, reply, None)
    assert reply.status == 404, "the model states it"
    assert read["Error"]["Code"] == "ResourceNotFound"
    assert read["Error"]["Message"] == "no <such> alarm"
    assert read["Error"].get("Type", "Sender") == "Sender"
    assert read["ResponseMetadata"]["RequestId"] == "an-id"


def test_refusals_of_ec2_have_its_own_shape():
    request = Asked(service="ec2", operation="DescribeInstances", protocol="ec2", content={})
    reply = refused(request, ServiceError("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist"), "id")
    assert reply.body.decode().endswith(
        "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>"
        "<Message>The instance ID 'i-1' does not exist</Message></Error></Errors><RequestID>id</RequestID></Response>"
    )
    assert parsed("ec2", reply, None)["Error"]["Code"] == "InvalidInstanceID.NotFound"


def test_a_defect_is_the_receivers_fault():
    request = Asked(service="autoscaling", operation="X", protocol="query", content={})
    reply = refused(request, ServiceError("InternalFailure", "broke", status=500), "id")
    assert (reply.status, parsed("query", reply, None)["Error"]["Type"]) == (500, "Receiver")


def checked(service, name, request):
    with pytest.raises(ServiceError) as refusal:
        check_request(operation_model(service, name), request)
    return refusal.value.code, refusal.value.message


@pytest.mark.parametrize(
    ("name", "request_", "message"),
    [
        (
            "SetDesiredCapacity",
            {"DesiredCapacity": 1},
            (
                "1 validation error detected: Value null at 'autoScalingGroupName' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            "CreateAutoScalingGroup",
            {"AutoScalingGroupName": "", "MinSize": 1, "MaxSize": 1},
            (
                "1 validation error detected: Value '' at 'autoScalingGroupName' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            "CreateOrUpdateTags",
            {"Tags": [{"Key": "k"}, {"Key": "x" * 129}]},
            (
                f"1 validation error detected: Value '{'x' * 129}' at 'tags.2.member.key' "
                "failed to satisfy constraint: Member must have length less than or equal to 128"
            ),
        ),
        (
            "PutScalingPolicy",
            {
                "AutoScalingGroupName": "g",
                "PolicyName": "p",
                "TargetTrackingConfiguration": {
                    "TargetValue": 1.0,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "Nonsense"},
                },
            },
            (
                "1 validation error detected: Value 'Nonsense' at "
                "'targetTrackingConfiguration.predefinedMetricSpecification.predefinedMetricType' failed to satisfy "
                "constraint: Member must satisfy enum value set: [ASGAverageCPUUtilization, ASGAverageNetworkIn, "
                "ASGAverageNetworkOut, ALBRequestCountPerTarget]"
            ),
        ),
        (
            "PutLifecycleHook",
            {"AutoScalingGroupName": "g", "LifecycleHookName": "a b", "RoleARN": ""},
            (
                "2 validation errors detected: Value 'a b' at 'lifecycleHookName' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [A-Za-z0-9\-_\/]+; Value '' at 'roleARN' failed to "
                "satisfy constraint: Member must have length greater than or equal to 1"
            ),
        ),
    ],
)
def test_what_the_model_forbids_is_refused_in_awss_words(name, request_, message):
    assert checked("autoscaling", name, request_) == ("ValidationError", message)


@pytest.mark.parametrize(
    ("service", "name", "request_", "problem"),
    [
        (
            "autoscaling",
            "DescribeScalingActivities",
            {"MaxRecords": -1},
            (
                "Value '-1' at 'maxRecords' failed to satisfy constraint: Member must have value greater than or equal "
                "to 1"
            ),
        ),
        (
            "elbv2",
            "ModifyTargetGroupAttributes",
            {"TargetGroupArn": "a", "Attributes": [{"Value": "1"}]},
            "Value null at 'attributes.1.member.key' failed to satisfy constraint: Member must not be null",
        ),
        (
            "elbv2",
            "CreateLoadBalancer",
            {"Name": "a", "SubnetMappings": [{"AllocationId": "b"}]},
            "Value null at 'subnetMappings.1.member.subnetId' failed to satisfy constraint: Member must not be null",
        ),
        (
            "elbv2",
            "CreateListener",
            {
                "LoadBalancerArn": "a",
                "DefaultActions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"Weight": 1}]}}],
            },
            (
                "Value null at 'defaultActions.1.member.forwardConfig.targetGroups.1.member.targetGroupArn' failed to "
                "satisfy constraint: Member must not be null"
            ),
        ),
    ],
)
def test_what_aws_wants_and_the_model_does_not_state_is_refused_too(service, name, request_, problem):
    assert checked(service, name, request_) == ("ValidationError", f"1 validation error detected: {problem}")


def test_ec2_names_the_parameter_that_is_missing():
    expected = ("MissingParameter", "The request must contain the parameter InstanceIds")
    assert checked("ec2", "TerminateInstances", {}) == expected


def form(text, headers=None):
    return asked("/", "", {"host": "127.0.0.1:4566", **(headers or {})}, text.encode())


def test_a_request_that_is_not_signed_is_known_by_its_version_or_host():
    assert form("Action=DescribeInstances&Version=2016-11-15").service == "ec2"
    assert form("Action=ListMetrics&Version=2010-08-01").service == "cloudwatch"
    assert form("Action=X", {"host": "autoscaling.us-east-1.amazonaws.com"}).service == "autoscaling"
    assert asked("/", "Action=DescribeTags&Version=2011-01-01", {}, b"").service == "autoscaling"


@pytest.mark.parametrize(
    ("path", "text", "headers"),
    [
        ("/bucket/key", "", {}),
        ("/", "Action=Publish&Version=2010-03-31", {}),
        ("/", "{}", {"x-amz-target": "AmazonSQS.SendMessage"}),
        ("/", "Action=DescribeLoadBalancers&Version=2012-06-01", {"authorization": "elasticloadbalancing"}),
        ("/", "Action=DescribeAutoScalingGroups&Version=2011-01-01", {"authorization": "iam"}),
    ],
)
def test_what_is_not_modelled_is_left_to_others(path, text, headers):
    if signed := headers.get("authorization"):
        headers = signed_as(signed)
    assert asked(path, "", headers, text.encode()) is None


def refusal_of(request):
    with pytest.raises(ServiceError) as refusal:
        parameters(request)
    return refusal.value.code, refusal.value.message


def test_unknown_actions_and_parameters():
    assert refusal_of(form("Action=Nonsense&Version=2011-01-01")) == (
        "InvalidAction",
        "Could not find operation Nonsense for version 2011-01-01",
    )
    assert refusal_of(form("Action=Nonsense&Version=2016-11-15")) == (
        "InvalidAction",
        "The action Nonsense is not valid for this web service.",
    )
    assert refusal_of(form("Action=DescribeInstances&Item.1=x&Version=2016-11-15")) == (
        "UnknownParameter",
        "The parameter Item is not recognized",
    )
    request = form("Action=SetDesiredCapacity&AutoScalingGroupName=g&DesiredCapacity=2&Strange=1&Version=2011-01-01")
    assert parameters(request) == ({"AutoScalingGroupName": "g", "DesiredCapacity": 2}, ["Strange"])


def signed_as(service):
    return {"authorization": f"AWS4-HMAC-SHA256 Credential=k/20200101/us-east-1/{service}/aws4_request, x"}


def test_another_version_of_a_service_is_not_answered_by_anybody_else():
    """moto has Auto Scaling and EC2 too, with nothing in them: a script would read that there is no group."""
    for version in ("1999-01-01", "2016-11-15"):
        request = form(f"Action=DescribeTags&Version={version}", signed_as("autoscaling"))
        assert refusal_of(request) == ("InvalidAction", f"Could not find operation DescribeTags for version {version}")
    older = form("Action=DescribeInstances&Version=2014-10-01", signed_as("ec2"))
    assert parameters(older) == ({}, [])


def test_a_body_has_a_bound():
    form("Action=DescribeTags&Version=2011-01-01&x=" + "1" * 100_000)
    body = b"x" * (BODY_BYTES_MAX + 1)
    with pytest.raises(ServiceError, match="larger than 16777216 bytes") as refusal:
        asked("/", "", signed_as("autoscaling"), body)
    assert (refusal.value.code, refusal.value.status) == ("RequestEntityTooLarge", 413)
    # An object for S3, with a signature or without one.
    assert asked("/bucket/key", "", signed_as("s3"), body) is None
    assert asked("/bucket/key", "", {}, body) is None


@pytest.mark.parametrize(
    "text",
    [
        "AutoScalingGroupName=g&DesiredCapacity=two",
        "AutoScalingGroupName=g&DesiredCapacity=1_000",
        f"AutoScalingGroupName=g&DesiredCapacity={2**31}",
        "AutoScalingGroupName=g&DesiredCapacity=99999999999999999999999",
        "AutoScalingGroupName=g&DesiredCapacity=2&HonorCooldown=maybe",
        "AutoScalingGroupName.a=g&DesiredCapacity=2",
        "AutoScalingGroupName=g&AutoScalingGroupName.a=g&DesiredCapacity=2",
        "AutoScalingGroupName.a=g&AutoScalingGroupName=g&DesiredCapacity=2",
    ],
)
def test_broken_forms_are_refused(text):
    with pytest.raises(ServiceError) as refusal:
        parameters(form(f"Action=SetDesiredCapacity&Version=2011-01-01&{text}"))
    assert refusal.value.code == "MalformedInput"


@pytest.mark.parametrize("threshold", ["NaN", "Infinity", "1e999"])
def test_no_number_is_not_one(threshold):
    text = f"AlarmName=a&EvaluationPeriods=1&ComparisonOperator=GreaterThanThreshold&Threshold={threshold}"
    code, message = refusal_of(form(f"Action=PutMetricAlarm&Version=2010-08-01&{text}"))
    assert code == "ValidationError"
    assert "at 'threshold' failed to satisfy constraint: Member must be a finite number" in message


def test_lists_come_in_the_order_of_their_numbers():
    text = "&".join(f"AutoScalingGroupNames.member.{number}=g{number}" for number in (10, 2, 1))
    found, _ = parameters(form(f"Action=DescribeAutoScalingGroups&Version=2011-01-01&{text}"))
    assert found == {"AutoScalingGroupNames": ["g1", "g2", "g10"]}
    with pytest.raises(ServiceError):
        parameters(form("Action=DescribeAutoScalingGroups&Version=2011-01-01&AutoScalingGroupNames.member.x=1"))


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"Namespace": 3}', b'{"MetricData": [{"StorageResolution": 4294967296}]}']
)
def test_broken_documents_are_refused(body):
    request = asked("/", "", {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}, body)
    assert refusal_of(request)[0] == "SerializationException"
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    assert refusal_of(asked(path, "", {}, body))[0] == "SerializationException"


def test_packed_bodies_are_unpacked_and_broken_ones_refused():
    import gzip

    headers = {"x-amz-target": "GraniteServiceVersion20100801.ListMetrics", "content-encoding": "gzip"}
    found, _ = parameters(asked("/", "", headers, gzip.compress(b'{"Namespace": "N"}')))
    assert found == {"Namespace": "N"}
    with pytest.raises(ServiceError):
        asked("/", "", headers, b"nonsense")


def test_cbor_of_other_writers_is_read():
    """Indefinite lengths, as Java's clients write them, and numbers of every size."""
    assert cbor.decode(bytes.fromhex("bf61619f0203ff6162f6ff")) == {
        "a": [2, 3],
        "b": None,
    }
    assert cbor.decode(bytes.fromhex("7f6261626163ff")) == "abc"
    assert cbor.decode(bytes.fromhex("f93c00")) == 1.0
    assert cbor.decode(bytes.fromhex("c11a514b67b0")) == 1363896240
    for number in (0, 23, 24, 255, 256, 65535, 65536, 2**32, -1, -24, -25, -257, -(2**33)):
        assert cbor.decode(cbor.encode(number)) == number
    for broken in (b"", b"\x61", b"\xff", b"\x00\x00", b"\xbf\x00\xff", b"\x81" * 100, b"\x1c"):
        with pytest.raises(ValueError, match="not CBOR"):
            cbor.decode(broken)


def test_times_on_the_wire():
    assert parse_time("2026-11-25T18:00:00Z") == parse_time("2026-11-25T19:00:00+01:00") == 1_795_629_600_000_000
    assert parse_time("2026-11-25T18:00:00.123Z") == 1_795_629_600_123_000
    assert parse_time("2026-11-25T18:00:00") == parse_time(1795629600.0) == parse_time("1795629600")
    assert iso_time(1_795_629_600_123_456) == "2026-11-25T18:00:00.123Z"
    with pytest.raises(ValueError, match="next"):
        parse_time("next Tuesday")
    for never in (1e30, float("nan"), "-1e15"):
        with pytest.raises(ValueError, match="not a time"):
            parse_time(never)


def test_a_form_is_a_tree():
    assert tree("A=1&B.member.1.C=x%20y+z&&D=") == {"A": "1", "B": {"member": {"1": {"C": "x y z"}}}, "D": ""}
