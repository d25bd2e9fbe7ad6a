"""The terminate hook of an instance's group, as the instance itself sees it: by its metadata and the AWS API.

Source: EC2 Auto Scaling's user guide, "Retrieve the target lifecycle state through instance metadata" and "Complete a
lifecycle action".
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import aws

Say = Callable[[str], None]
#: How often the metadata service is asked whether the instance is being terminated.
POLL_S = 1.0
AUTOSCALING = "2011-01-01"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


def wait(stopped: threading.Event, say: Say) -> str:
    """Wait until the instance is being terminated and a hook holds it.

    Args:
        stopped: Ends the waiting.
        say: Told why nobody can say what becomes of the instance.

    Returns:
        Its group; empty where the waiting was ended.
    """
    while not stopped.wait(POLL_S):
        try:
            if aws.metadata("autoscaling/target-lifecycle-state") != "Terminated":
                continue
            group, state = membership(instance_id())
        except (OSError, aws.RefusedError) as error:
            say(f"nobody says what becomes of the instance: {error}")
            continue
        if state == "Terminating:Wait":
            return group
    return ""


def go_on(group: str, say: Say) -> None:
    """Tell every terminate hook of the group to go on; where that fails its own time-out will."""
    instance = instance_id()
    try:
        for name in terminate_hooks(group):
            complete(group, name, instance)
    except (OSError, aws.RefusedError) as error:
        say(f"the hook was not told to go on: {error}")


def instance_id() -> str:
    """The instance's id; the host's name where nothing tells it."""
    try:
        return aws.metadata("instance-id") or socket.gethostname()
    except aws.RefusedError:
        return socket.gethostname()


def membership(instance: str) -> tuple[str, str]:
    """The group that an instance is in, and its lifecycle state; empty where it is in none."""
    asked = {"Action": "DescribeAutoScalingInstances", "InstanceIds.member.1": instance}
    found = aws.query("autoscaling", AUTOSCALING, asked)
    return found.findtext(".//AutoScalingGroupName", ""), found.findtext(".//LifecycleState", "")


def terminate_hooks(group: str) -> list[str]:
    """The hooks that wait when an instance of a group is terminated."""
    asked = {"Action": "DescribeLifecycleHooks", "AutoScalingGroupName": group}
    found = aws.query("autoscaling", AUTOSCALING, asked)
    return [
        hook.findtext("LifecycleHookName", "")
        for hook in found.findall(".//LifecycleHooks/member")
        if hook.findtext("LifecycleTransition") == TERMINATING
    ]


def complete(group: str, hook: str, instance: str) -> None:
    """Tell a hook to go on."""
    asked = {
        "Action": "CompleteLifecycleAction",
        "AutoScalingGroupName": group,
        "LifecycleHookName": hook,
        "InstanceId": instance,
        "LifecycleActionResult": "CONTINUE",
    }
    aws.query("autoscaling", AUTOSCALING, asked)
