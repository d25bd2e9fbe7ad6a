"""All that a region knows, as data: it can be written to disk and read again between any two calls.

Times are microseconds since 1970 (`_us`), durations seconds (`_s`). What AWS only stores and gives back is kept as it
was given, under AWS's own names, in `extra`.
"""

from __future__ import annotations

from parity.model.scaling.state.balancing import Listener, LoadBalancer, Target, TargetGroup
from parity.model.scaling.state.ec2 import KeyPair, SecurityGroup, SecurityGroupRule
from parity.model.scaling.state.metrics import Alarm, Series, Statistic, Tracking
from parity.model.scaling.state.whole import (
    SECOND_US,
    Activity,
    Breach,
    Group,
    Hook,
    HookWait,
    Image,
    Instance,
    LaunchConfiguration,
    LaunchSource,
    LaunchTemplate,
    Member,
    Policy,
    Refresh,
    Schedule,
    State,
    Tag,
    TemplateVersion,
    WarmPool,
    Zone,
)

__all__ = [
    "SECOND_US",
    "Activity",
    "Alarm",
    "Breach",
    "Group",
    "Hook",
    "HookWait",
    "Image",
    "Instance",
    "KeyPair",
    "LaunchConfiguration",
    "LaunchSource",
    "LaunchTemplate",
    "Listener",
    "LoadBalancer",
    "Member",
    "Policy",
    "Refresh",
    "Schedule",
    "SecurityGroup",
    "SecurityGroupRule",
    "Series",
    "State",
    "Statistic",
    "Tag",
    "Target",
    "TargetGroup",
    "TemplateVersion",
    "Tracking",
    "WarmPool",
    "Zone",
]
