"""What a region knows of EC2 beside instances: security groups and keys."""

from __future__ import annotations

import msgspec


class SecurityGroupRule(msgspec.Struct):
    """A rule of a security group; `kind` is the member of `IpPermission` that its peer stands in."""

    rule_id: str
    egress: bool
    protocol: str
    kind: str
    peer: str
    from_port: int | None = None
    to_port: int | None = None
    description: str = ""
    tags: dict[str, str] = {}


class SecurityGroup(msgspec.Struct):
    """A security group: kept and shown, with no effect on what containers can reach."""

    group_id: str
    name: str
    description: str
    rules: dict[str, SecurityGroupRule] = {}
    tags: dict[str, str] = {}


class KeyPair(msgspec.Struct):
    """A public key that was imported."""

    key_pair_id: str
    name: str
    fingerprint: str
    kind: str
    public_key: str
    created_us: int
    tags: dict[str, str] = {}
