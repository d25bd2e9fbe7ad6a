"""Deploy a revision to a group's instances in place, found as deploy tools find them.

    parity up compose/rabbitmq+deployed-from-git
    eval "$(parity env)"
    python examples/deploy.py worker main

Discovery takes what is in service at that moment. An instance that is being launched meanwhile is not among it: it runs
what its boot puts in place, and stays on that where the boot does not fetch what is deployed.

Nothing here knows parity, but for one thing: an instance is a container, and `docker exec` stands where SSH would.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import boto3
import docker

#: The worker finishes the job in hand, starts anew, and says what it is.
RESTARTED_WITHIN_S = 30.0


def in_service(group: str) -> dict[str, str]:
    """The private addresses of a group's instances that are in service, by instance id."""
    described = boto3.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    if not described["AutoScalingGroups"]:
        raise SystemExit(f"there is no Auto Scaling group {group}")
    members = described["AutoScalingGroups"][0]["Instances"]
    ids = [member["InstanceId"] for member in members if member["LifecycleState"] == "InService"]
    if not ids:
        return {}
    reservations = boto3.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    return {
        instance["InstanceId"]: instance["PrivateIpAddress"]
        for reservation in reservations
        for instance in reservation["Instances"]
    }


def machine(instance: str) -> Any:
    """What an instance is reached by."""
    found = docker.from_env().containers.list(filters={"label": f"dev.parity.instance={instance}"})
    if not found:
        raise SystemExit(f"{instance} is not there any more")
    return found[0]


def run(container: Any, *command: str) -> str:
    """Run a command on an instance; what it printed."""
    done = container.exec_run(list(command))
    if done.exit_code:
        raise SystemExit(f"{container.name}: {' '.join(command)}: {done.output.decode()}")
    return str(done.output.decode().strip())


def deploy(instance: str, revision: str) -> str:
    """Put a revision in place on an instance, and have its worker start anew; the commit that it says it runs."""
    container = machine(instance)
    since_s = time.time()
    commit = run(container, "python3", "/app/revision.py", revision)
    run(container, "sh", "-c", "kill -HUP 1")
    while time.time() - since_s < RESTARTED_WITHIN_S:
        said = [line for line in container.logs().decode().splitlines() if line.startswith("revision ")]
        if said and said[-1] == f"revision {commit}":
            return commit
        time.sleep(0.2)
    raise SystemExit(f"{instance}: the worker does not say that it runs {commit}")


def main() -> None:
    """Deploy to every instance that is found, one after the other; exit status 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("group", help="the Auto Scaling group's name")
    parser.add_argument(
        "revision", help="a commit, branch or tag of the stack's git repository", nargs="?", default="main"
    )
    given = parser.parse_args()
    revision = given.revision
    found = in_service(given.group)
    for instance, address in found.items():
        # What a branch was at for the first instance is what all get.
        revision = deploy(instance, revision)
        print(f"{instance} {address} {revision}")
    if not found:
        sys.exit(f"no instance of {given.group} is in service")


if __name__ == "__main__":
    main()
