"""A kept stack with its AWS endpoint: its group's instances are the containers there really are, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")

from kept import GROUP, PARITY, ROOT, Kept, awaited, kept_stack, said

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_stack(tmp_path_factory.mktemp("attended")) as kept:
        yield kept


def test_the_group_is_the_containers_that_run(kept: Kept) -> None:
    """Every instance is in service, has the address that its container has, and works from the queue."""
    instances = kept.at(3)
    reservations = kept.client("ec2").describe_instances(InstanceIds=instances)["Reservations"]
    told = {one["InstanceId"]: one["PrivateIpAddress"] for each in reservations for one in each["Instances"]}
    networks = {name: c.attrs["NetworkSettings"]["Networks"].values() for name, c in kept.containers().items()}
    assert told == {name: next(iter(found))["IPAddress"] for name, found in networks.items()}
    zones = {one["AvailabilityZone"] for one in kept.group()["Instances"]}
    assert zones == {"us-east-1a", "us-east-1b"}

    def consumers() -> bool:
        return [row["consumers"] for row in kept.status("queue") if row["queue"] == "jobs"] == [3]

    awaited("three consumers", consumers)


def test_code_is_fetched_at_boot(kept: Kept) -> None:
    """The revision that is deployed when an instance boots is what it runs; one that booted earlier has the earlier."""
    kept.at(3)
    git = kept._client.containers.get(f"parity-{kept.id}_git_1")
    revision = git.exec_run(["git", "-C", "/srv/git/app.git", "rev-parse", "main"]).output.decode().strip()
    before = kept.containers()
    for container in before.values():
        said(container, f"revision {revision}")
    script = (
        "set -e; git clone -q git://localhost/app.git /tmp/w; cd /tmp/w; echo '# two' >> worker.py;"
        "git -c user.name=t -c user.email=t@t commit -qam two; git push -q origin main; git rev-parse HEAD"
    )
    done = git.exec_run(["sh", "-c", script])
    assert done.exit_code == 0, done.output
    deployed = done.output.decode().split()[-1]
    assert deployed != revision
    kept.at(4)
    (fresh,) = [container for name, container in kept.containers().items() if name not in before]
    said(fresh, f"revision {deployed}")
    assert fresh.exec_run(["tail", "-1", "/app/worker.py"]).output == b"# two\n"


def test_an_instance_knows_itself_before_its_user_data_runs(kept: Kept) -> None:
    """Metadata by IMDSv2 and the AWS API are there for the first line of user data."""
    script = """#!/usr/bin/env python3
import os, urllib.request as u
def ask(path, method="GET", **headers):
    return u.urlopen(u.Request("http://169.254.169.254/latest/" + path, method=method, headers=headers)).read().decode()
token = ask("api/token", "PUT", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
print("I am", ask("meta-data/instance-id", **{"X-aws-ec2-metadata-token": token}), flush=True)
print("AWS is", u.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_parity/health").status, flush=True)
"""
    ec2 = kept.client("ec2")
    version = ec2.describe_launch_template_versions(LaunchTemplateName="worker")["LaunchTemplateVersions"][0]
    (launched,) = ec2.run_instances(
        ImageId=version["LaunchTemplateData"]["ImageId"],
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        UserData=script,
    )["Instances"]
    name = launched["InstanceId"]
    container = awaited("the instance", lambda: kept.containers().get(name))
    assert f"I am {name}" in said(container, "AWS is 200")
    made = ec2.create_image(InstanceId=name, Name="golden")["ImageId"]
    awaited("the image", lambda: ec2.describe_images(ImageIds=[made])["Images"][0]["State"] == "available")
    ec2.terminate_instances(InstanceIds=[name])
    awaited("its end", lambda: name not in kept.containers())
    assert f"parity/ami:{made}" in kept.left()


def test_what_dies_is_replaced(kept: Kept) -> None:
    """A container that is killed, one that is removed and one that hangs: each is seen and replaced."""
    killed, removed, hanging, well = kept.at(4)
    containers = kept.containers()
    containers[killed].kill()
    containers[removed].remove(force=True)
    containers[hanging].pause()
    after = awaited("replacements", lambda: not {killed, removed, hanging} & set(kept.containers()))
    assert after
    assert well in kept.settled(4)


def test_metrics_are_those_of_the_containers(kept: Kept) -> None:
    """A busy instance is seen to be busy, each counts once for its group, and the queue's depth is the broker's."""
    (busy, *_) = kept.at(4)
    container = kept.containers()[busy]
    container.exec_run(["timeout", "20", "sh", "-c", "while :; do :; done"], detach=True)
    cloudwatch = kept.client("cloudwatch")

    def told(statistic: str, dimension: str, value: str) -> list[float]:
        now = json.loads(
            subprocess.check_output(["curl", "-s", kept.environment["AWS_ENDPOINT_URL"] + "/_parity/clock"])
        )
        at_s = now["now_us"] / 1e6
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/EC2",
            MetricName="CPUUtilization",
            Dimensions=[{"Name": dimension, "Value": value}],
            StartTime=at_s - 120,
            EndTime=at_s + 60,
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return [point[statistic] for point in points]

    awaited("a busy processor", lambda: any(one > 5 for one in told("Maximum", "InstanceId", busy)), within_s=40)
    awaited("its group's", lambda: any(one > 5 for one in told("Maximum", "AutoScalingGroupName", GROUP)), within_s=40)
    # The group's are asked for first: those of the instances that come in meanwhile can only be more.
    of_group = sum(told("SampleCount", "AutoScalingGroupName", GROUP))
    known = cloudwatch.list_metrics(Namespace="AWS/EC2", MetricName="CPUUtilization")["Metrics"]
    instances = [each["Value"] for one in known for each in one["Dimensions"] if each["Name"] == "InstanceId"]
    assert 0 < of_group <= sum(sum(told("SampleCount", "InstanceId", one)) for one in instances)
    names = {one["MetricName"] for one in cloudwatch.list_metrics(Namespace="Parity/RabbitMQ")["Metrics"]}
    assert {"MessageReadyCount", "OldestMessageAge"} <= names


def test_time_can_be_set_forward(kept: Kept) -> None:
    """A scheduled action an hour away runs at once when time is set forward, on real containers."""
    kept.at(4)
    shown = kept.parity("clock", "--stack", kept.name)
    kept.client("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=GROUP, ScheduledActionName="later", Recurrence="0 * * * *", DesiredCapacity=2
    )
    advanced = kept.parity("clock", "advance", "61m", "--stack", kept.name)
    assert shown[:13] < advanced[:13]
    kept.settled(2)
    kept.client("autoscaling").delete_scheduled_action(AutoScalingGroupName=GROUP, ScheduledActionName="later")


def test_the_aws_cli_by_the_environment_and_the_watch(kept: Kept) -> None:
    """`eval "$(parity env)"` is all that the AWS CLI needs, and `parity status --watch` sees what it did."""
    kept.at(2)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [*PARITY, "status", "--watch", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as watch:
        # A watch that never shows what it should ends all the same.
        end = threading.Timer(60, watch.terminate)
        end.start()
        try:
            assert watch.stdout is not None
            assert "kind" in json.loads(watch.stdout.readline())
            resize = f"aws autoscaling set-desired-capacity --auto-scaling-group-name {GROUP} --desired-capacity 3"
            script = f'eval "$({sys.executable} -m parity env --stack {kept.name})" && {resize}'
            subprocess.run(["sh", "-c", script], cwd=ROOT, env=environment, check=True)
            rows = (json.loads(line) for line in watch.stdout)
            assert any(row["stack"] == kept.id and row.get("desired") == 3 for row in rows)
        finally:
            end.cancel()
            watch.terminate()
    kept.settled(3)
    kept.at(2)


def test_killed_during_a_scale_out(kept: Kept) -> None:
    """SIGKILL while instances are being launched: `parity up` goes on to the right capacity, and nothing is over."""
    kept.at(2)
    kept.resize(10)
    awaited("a first launch", lambda: len(kept.containers()) > 2)
    os.kill(kept.attendant, signal.SIGKILL)
    (gone,) = kept.status("endpoint")
    assert gone["url"] == f"none is served; `parity up {kept.name}` starts one"
    before = kept.environment
    kept.up()
    assert kept.environment == before, "whoever evaluated parity env goes on"
    kept.settled(10)
    kept.at(2)


def test_a_run_leaves_the_group_alone(kept: Kept, tmp_path: Path) -> None:
    """`parity run` has the kept stack for itself while the group goes on in its own namespace."""
    before = kept.at(2)
    kept.parity("run", "poison-job", "--stack", kept.name, "--out", str(tmp_path))
    (record,) = tmp_path.glob("*/run.json")
    assert json.loads(record.read_text())["stack_id"] == kept.id
    assert kept.settled(2) == before


def test_nothing_is_left(kept: Kept) -> None:
    """`parity down` removes what there is, also where the attending process was killed; its log is shown until then."""
    assert "attending" in kept.parity("logs", "endpoint")
    told = {line.partition(" | ")[0] for line in kept.parity("logs", "worker").splitlines()}
    assert set(kept.at(2)) <= told
    os.kill(kept.attendant, signal.SIGKILL)
    assert kept.left()
    kept.parity("down", kept.name)
    assert kept.left() == set()
    assert not kept.folder.exists()
