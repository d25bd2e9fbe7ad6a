"""A region with everything it can do: import `Region` from here."""

from __future__ import annotations

# Each part registers what it does when it is imported.
from parity.model.scaling.balancing import balancers, target_groups, targets, traffic
from parity.model.scaling.ec2 import (
    attributes,
    images,
    instance_types,
    instances,
    key_pairs,
    resource_tags,
    running,
    security_groups,
    subnets,
    templates,
)
from parity.model.scaling.groups import (
    account,
    activities,
    asked,
    capacity,
    configurations,
    health,
    hooks,
    lifecycle,
    machines,
    members,
    notify,
    processes,
    shown,
    tags,
    zones,
)
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.metrics import alarmlist, alarms, collection, readings
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.policies import crud as policies
from parity.model.scaling.policies import decisions, schedules
from parity.model.scaling.region import OPERATIONS, READS, Region
from parity.model.scaling.replacing import lifetime, maintenance, refresh, refreshing, spot, warm

PARTS = (
    account,
    activities,
    alarmlist,
    alarms,
    asked,
    attributes,
    balancers,
    capacity,
    collection,
    configurations,
    decisions,
    groups,
    health,
    hooks,
    images,
    instance_types,
    instances,
    key_pairs,
    lifecycle,
    lifetime,
    machines,
    maintenance,
    members,
    metrics,
    notify,
    policies,
    processes,
    readings,
    refresh,
    refreshing,
    resource_tags,
    running,
    schedules,
    security_groups,
    shown,
    spot,
    subnets,
    tags,
    target_groups,
    targets,
    templates,
    traffic,
    warm,
    zones,
)

__all__ = ["OPERATIONS", "PARTS", "READS", "Region"]
