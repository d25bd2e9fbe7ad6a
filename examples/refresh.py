"""Deploy a revision by new instances: a new version of the launch template, and a refresh to it. Nothing is discovered.

    parity up compose/rabbitmq+deployed-from-git
    eval "$(parity env)"
    python examples/refresh.py worker main

Whatever is launched from then on, by the refresh or by anybody else, boots with that revision.
"""

from __future__ import annotations

import argparse
import base64
import sys
import time

import boto3

USER_DATA = "#!/bin/sh\nexec python3 /app/revision.py {revision}\n"
#: Half of the instances at a time, and a new one counts as soon as it is in service.
PREFERENCES = {"MinHealthyPercentage": 50, "InstanceWarmup": 0}
OVER = ("Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed")
LOOK_S = 1.0


def new_version(group: str, revision: str) -> dict[str, str]:
    """Make a version of a group's launch template that boots a revision; the template and the version's number."""
    described = boto3.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    if not described["AutoScalingGroups"]:
        raise SystemExit(f"there is no Auto Scaling group {group}")
    template = described["AutoScalingGroups"][0]["LaunchTemplate"]
    made = boto3.client("ec2").create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplateId"],
        SourceVersion=template.get("Version", "$Default"),
        VersionDescription=revision,
        LaunchTemplateData={"UserData": base64.b64encode(USER_DATA.format(revision=revision).encode()).decode()},
    )
    number = made["LaunchTemplateVersion"]["VersionNumber"]
    return {"LaunchTemplateId": template["LaunchTemplateId"], "Version": str(number)}


def refresh(group: str, template: dict[str, str]) -> str:
    """Have a group's instances replaced by such of the template's version; how that ended."""
    autoscaling = boto3.client("autoscaling")
    started = autoscaling.start_instance_refresh(
        AutoScalingGroupName=group,
        DesiredConfiguration={"LaunchTemplate": template},
        Preferences=PREFERENCES,
    )
    shown = -1
    while True:
        (found,) = autoscaling.describe_instance_refreshes(
            AutoScalingGroupName=group, InstanceRefreshIds=[started["InstanceRefreshId"]]
        )["InstanceRefreshes"]
        if found.get("PercentageComplete", 0) != shown:
            shown = found.get("PercentageComplete", 0)
            print(f"{found['Status']} {shown}%", flush=True)
        if found["Status"] in OVER:
            return str(found["Status"])
        time.sleep(LOOK_S)


def main() -> None:
    """Do it; exit status 1 where the refresh does not succeed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("group", help="the Auto Scaling group's name")
    parser.add_argument(
        "revision", help="a commit, branch or tag of the stack's git repository", nargs="?", default="main"
    )
    given = parser.parse_args()
    status = refresh(given.group, new_version(given.group, given.revision))
    sys.exit(0 if status == "Successful" else f"the refresh ended as {status}")


if __name__ == "__main__":
    main()
