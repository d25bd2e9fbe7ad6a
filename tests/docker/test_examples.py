"""The example deploy scripts on a kept stack: which revision the instances end on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="the AWS endpoint is not installed: pip install 'parity[aws]'")

from kept import GROUP, ROOT, Kept, awaited, kept_stack, log_of

EXAMPLES = ROOT / "examples"
AWS = Path(sys.executable).with_name("aws")
#: A group whose instances run what their image was built with, whatever is deployed when they boot.
PLAIN = "plain"
HOOK = "hold"
pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with kept_stack(tmp_path_factory.mktemp("examples")) as kept:
        # A shell script finds the AWS CLI where this Python has it.
        kept.environment["PATH"] = f"{AWS.parent}:{os.environ['PATH']}"
        yield kept


def push(kept: Kept, text: str) -> str:
    """Push a revision of the worker to the stack's repository; its commit."""
    script = (
        "set -e; rm -rf /tmp/w; git clone -q git://localhost/app.git /tmp/w; cd /tmp/w; "
        f"echo '# {text}' >> worker.py; git -c user.name=t -c user.email=t@t commit -qam '{text}'; "
        "git push -q origin main; git rev-parse HEAD"
    )
    done = kept.service("git").exec_run(["sh", "-c", script])
    assert done.exit_code == 0, done.output
    return str(done.output.decode().split()[-1])


def revisions(kept: Kept, group: str = GROUP) -> dict[str, str]:
    """What each instance of a group said last that it runs."""
    said = {}
    for name, container in kept.containers(group).items():
        lines = [line for line in log_of(container).splitlines() if line.startswith("revision ")]
        said[name] = lines[-1].removeprefix("revision ") if lines else ""
    return said


def all_say(kept: Kept, group: str = GROUP) -> dict[str, str]:
    """Wait until each instance said what it runs: it is in service a moment before."""
    return dict(awaited("what the workers say", lambda: all((said := revisions(kept, group)).values()) and said))


def deploy(kept: Kept, *arguments: str) -> dict[str, str]:
    """Run the deploy script; the revision it says it deployed, by instance."""
    script = [sys.executable, str(EXAMPLES / "deploy.py")]
    return _told(kept.run(*script, *arguments))


def _told(printed: str) -> dict[str, str]:
    return {instance: revision for instance, _, revision in (line.split() for line in printed.splitlines())}


def test_deployed_in_place(kept: Kept) -> None:
    """Every in-service instance ends on the revision that was pushed, and is the instance it was, at work."""
    before = kept.settled(3)
    containers = {name: container.id for name, container in kept.containers().items()}
    revision = push(kept, "deployed by deploy.py")
    assert deploy(kept, GROUP) == dict.fromkeys(before, revision)
    assert revisions(kept) == dict.fromkeys(before, revision)
    assert {name: container.id for name, container in kept.containers().items()} == containers
    for container in kept.containers().values():
        assert container.exec_run(["tail", "-1", "/app/worker.py"]).output == b"# deployed by deploy.py\n"
    awaited("consumers", lambda: [row["consumers"] for row in kept.status("queue") if row["queue"] == "jobs"] == [3])


@pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed: pip install 'parity[dev]'")
def test_deployed_by_the_shell(kept: Kept) -> None:
    """The shell script finds the same instances, and does the same; an older commit can be named."""
    before = kept.settled(3)
    revision = push(kept, "deployed by deploy.sh")
    assert _told(kept.run(str(EXAMPLES / "deploy.sh"), GROUP)) == dict.fromkeys(before, revision)
    assert revisions(kept) == dict.fromkeys(before, revision)
    older = kept.service("git").exec_run(["git", "-C", "/srv/git/app.git", "rev-parse", "main~1"]).output.decode()
    assert set(_told(kept.run(str(EXAMPLES / "deploy.sh"), GROUP, older.strip())).values()) == {older.strip()}
    assert set(revisions(kept).values()) == {older.strip()}


def test_what_cannot_be_deployed_says_so(kept: Kept) -> None:
    script = [sys.executable, str(EXAMPLES / "deploy.py")]
    assert "there is no Auto Scaling group nobody" in kept.run(*script, "nobody", code=1)
    said = kept.run(*script, GROUP, "no-such-branch", code=1)
    assert "cannot put no-such-branch in place" in said
    assert len(kept.settled(3)) == 3


def test_a_deploy_races_a_scale_out(kept: Kept) -> None:
    """An instance that is launched meanwhile is missed; it is stale, unless its boot fetches what is deployed."""
    make_plain(kept)
    settled = {GROUP: kept.settled(3), PLAIN: kept.settled(2, PLAIN)}
    revision = push(kept, "raced")
    for group, members in settled.items():
        late = launch_one_more(kept, group, members)
        assert deploy(kept, group) == dict.fromkeys(members, revision), "who is not in service yet is not found"
        kept.client("autoscaling").complete_lifecycle_action(
            AutoScalingGroupName=group, LifecycleHookName=HOOK, InstanceId=late, LifecycleActionResult="CONTINUE"
        )
        kept.client("autoscaling").delete_lifecycle_hook(AutoScalingGroupName=group, LifecycleHookName=HOOK)
        kept.settled(len(members) + 1, group)
        stale = {name for name, said in all_say(kept, group).items() if said != revision}
        assert stale == ({late} if group == PLAIN else set())
    assert all_say(kept, PLAIN)[late] == "as-built"


def make_plain(kept: Kept) -> None:
    """Make a group from the same template, but without user data."""
    ec2 = kept.client("ec2")
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName=GROUP)["LaunchTemplateVersions"]
    data = {key: version["LaunchTemplateData"][key] for key in ("ImageId", "InstanceType")}
    ec2.create_launch_template(LaunchTemplateName=PLAIN, LaunchTemplateData=data)
    kept.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=PLAIN,
        LaunchTemplate={"LaunchTemplateName": PLAIN},
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=2,
        AvailabilityZones=["us-east-1a"],
    )


def launch_one_more(kept: Kept, group: str, members: list[str]) -> str:
    """Have a further instance launched, and held before it is in service."""
    kept.client("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName=group,
        LifecycleHookName=HOOK,
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    kept.resize(len(members) + 1, group)

    def held() -> str:
        waiting = [
            one["InstanceId"] for one in kept.group(group)["Instances"] if one["LifecycleState"] == "Pending:Wait"
        ]
        return waiting[0] if waiting else ""

    return str(awaited("an instance that is held", held))


def test_refreshed(kept: Kept) -> None:
    """New instances on the revision, and what is launched later too; no instance was told anything."""
    before = kept.settled(3, PLAIN)
    revision = push(kept, "refreshed")
    printed = kept.run(sys.executable, str(EXAMPLES / "refresh.py"), PLAIN, revision)
    assert printed.splitlines()[-1] == "Successful 100%"
    after = kept.settled(3, PLAIN)
    assert not set(before) & set(after)
    assert all_say(kept, PLAIN) == dict.fromkeys(after, revision)
    push(kept, "not deployed")
    kept.resize(4, PLAIN)
    kept.settled(4, PLAIN)
    assert set(all_say(kept, PLAIN).values()) == {revision}
