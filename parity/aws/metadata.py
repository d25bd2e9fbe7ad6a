"""The instance metadata service, in both of its versions.

Source: EC2's user guide, "Use instance metadata" and "Instance metadata categories"; of the categories there are those
that say something here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import platform
import re
import secrets
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from parity.aws.endpoint import Receive, Regional, Scope, Send, read_body, send_reply
from parity.aws.times import iso_second
from parity.aws.wire.answers import Reply
from parity.errors import ServiceError
from parity.model.scaling.state import Instance, Member, State

#: A token's longest life.
TTL_S_MAX = 21_600
#: How long is waited for the address of an instance that asks while it is being started.
PATIENCE_S = 5.0
_VERSION = re.compile(r"latest|1\.0|20\d\d-\d\d-\d\d")
#: Nothing that is asked here has a body of any size.
_BODY_BYTES_MAX = 1 << 16
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
}
_ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())

#: Names and what they hold: a text, or further names.
Node = Mapping[str, "Node"] | str


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the service says of an instance at one moment.

    Args:
        instance: A copy of what the region knows.
        tree: All that it serves.
    """

    instance: Instance
    tree: Node

    @property
    def options(self) -> Mapping[str, Any]:
        """`MetadataOptions` as the launch source stated them."""
        return self.instance.extra.get("MetadataOptions") or {}


class Metadata:
    """An ASGI application that tells an instance about itself.

    Args:
        region: Where the instances are.
        which: The instance that asks from a client's address; empty where none does.
    """

    def __init__(self, region: Regional, which: Callable[[str], str]) -> None:
        self._region = region
        self._which = which
        #: Whose a token is and until when, by `time.monotonic`.
        self._tokens: dict[str, tuple[str, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"only HTTP is answered, not {scope['type']}")
        try:
            body = await read_body(receive, most_bytes=_BODY_BYTES_MAX)
        except ServiceError:
            refusal = _refusal(413)
            # Not all of the request was read, so the connection is of no more use.
            refusal.headers["connection"] = "close"
            await send_reply(send, scope["method"], refusal)
            return
        if body is not None:
            await send_reply(send, scope["method"], await self._answer(scope))

    async def _answer(self, scope: Scope) -> Reply:
        client = scope.get("client")
        instance_id = self._which(client[0]) if client else ""
        known = await self._known(instance_id) if instance_id else None
        if known is None:
            return _refusal(404)
        if known.options.get("HttpEndpoint") == "disabled":
            return _refusal(403)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        version, _, path = scope["path"].lstrip("/").partition("/")
        if scope["method"] == "PUT" and path == "api/token" and _VERSION.fullmatch(version):
            return self._token(instance_id, headers)
        if scope["method"] not in {"GET", "HEAD"}:
            return _refusal(405)
        if not self._allowed(known, headers):
            return _refusal(401)
        if not version:
            return _text("1.0\nlatest")
        return _found(known.tree, path) if _VERSION.fullmatch(version) else _refusal(404)

    async def _known(self, instance_id: str) -> Known | None:
        """What there is to tell. An instance may ask before the region was told its address, which is waited for."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            known = self._region.look(lambda state: _known(state, instance_id))
            if known is None or known.instance.private_ip or time.monotonic() > until_s:
                return known
            await asyncio.sleep(0.02)

    def _token(self, instance_id: str, headers: Mapping[str, str]) -> Reply:
        if "x-forwarded-for" in headers:
            return _refusal(403)
        stated = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not stated.isdecimal() or not 1 <= int(stated) <= TTL_S_MAX:
            return _refusal(400)
        now_s = time.monotonic()
        self._tokens = {token: kept for token, kept in self._tokens.items() if kept[1] > now_s}
        token = secrets.token_urlsafe(40)
        self._tokens[token] = instance_id, now_s + int(stated)
        reply = _text(token)
        return replace(reply, headers=reply.headers | {"x-aws-ec2-metadata-token-ttl-seconds": stated})

    def _allowed(self, known: Known, headers: Mapping[str, str]) -> bool:
        token = headers.get("x-aws-ec2-metadata-token")
        if token is None:
            return known.options.get("HttpTokens") != "required"
        owner, until_s = self._tokens.get(token, ("", 0.0))
        return owner == known.instance.instance_id and time.monotonic() < until_s


def _known(state: State, instance_id: str) -> Known | None:
    instance = state.instances.get(instance_id)
    if instance is None:
        return None
    tree = {"meta-data": _categories(state, instance), "dynamic": _dynamic(state, instance)}
    if user_data := _user_data(instance):
        tree["user-data"] = user_data
    return Known(instance=msgspec.structs.replace(instance), tree=tree)


def _user_data(instance: Instance) -> str:
    try:
        return base64.b64decode(instance.user_data).decode("utf-8", "surrogateescape")
    except binascii.Error:
        return instance.user_data


def _categories(state: State, instance: Instance) -> MutableMapping[str, Node]:
    zone_id = next((zone.zone_id for zone in state.zones if zone.name == instance.zone), "")
    host = f"ip-{instance.private_ip.replace('.', '-')}.ec2.internal"
    found: dict[str, Node] = {
        "ami-id": instance.image_id,
        "ami-launch-index": "0",
        "hostname": host,
        "instance-action": "none",
        "instance-id": instance.instance_id,
        "instance-life-cycle": "spot" if instance.spot else "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": host,
        "local-ipv4": instance.private_ip,
        "placement": {
            "availability-zone": instance.zone,
            "availability-zone-id": zone_id,
            "region": state.region,
        },
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if target := target_lifecycle_state(state, instance):
        found["autoscaling"] = {"target-lifecycle-state": target}
    if instance.spot_action_us is not None:
        at = iso_second(instance.spot_action_us)
        found["spot"] = {"instance-action": _json({"action": "terminate", "time": at}), "termination-time": at}
    if instance.rebalance_us is not None:
        notice = _json({"noticeTime": iso_second(instance.rebalance_us)})
        found["events"] = {"recommendations": {"rebalance": notice}}
    if (instance.extra.get("MetadataOptions") or {}).get("InstanceMetadataTags") == "enabled":
        found["tags"] = {"instance": {key: value for key, value in instance.tags.items() if not set(key) & set(" /")}}
    return found


def _dynamic(state: State, instance: Instance) -> Node:
    document = {
        "accountId": state.account_id,
        "architecture": _ARCHITECTURE,
        "availabilityZone": instance.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.instance_id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": iso_second(instance.launched_us),
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": state.region,
        "version": "2017-09-30",
    }
    return {"instance-identity": {"document": _json(document)}}


def target_lifecycle_state(state: State, instance: Instance) -> str:
    """The state that an instance is in or on its way to; empty for one that no group has.

    Source: EC2 Auto Scaling's user guide, "Retrieve the target lifecycle state through instance metadata".
    """
    group = state.groups.get(instance.group)
    pool = group.warm_pool if group else None
    member: Member | None = None
    if group:
        member = group.members.get(instance.instance_id) or (pool.members.get(instance.instance_id) if pool else None)
    if member is None:
        return "Terminated" if instance.group and instance.state in {"shutting-down", "terminated"} else ""
    lifecycle = member.lifecycle
    if lifecycle.startswith("Warmed:"):
        first = lifecycle.split(":")[1]
        if first == "Pending" and pool:
            return f"Warmed:{pool.state}"
        return "Terminated" if first.startswith("Terminat") else lifecycle
    first = lifecycle.partition(":")[0]
    targets = {
        "Pending": "InService",
        "Terminating": "Terminated",
        "EnteringStandby": "Standby",
        "Detaching": "Detached",
    }
    return targets.get(first, first)


def _json(content: Any) -> str:
    return msgspec.json.encode(content).decode()


def _found(tree: Node, path: str) -> Reply:
    """A name's text, or the names below it: those that have more below them end in a slash."""
    node: Node = tree
    for part in path.split("/"):
        if not part:
            continue
        if isinstance(node, str) or part not in node:
            return _refusal(404)
        node = node[part]
    if isinstance(node, str):
        return _text(node)
    # The two roots have no slash.
    return _text(
        "\n".join(name if isinstance(below, str) or node is tree else f"{name}/" for name, below in node.items())
    )


def _text(content: str) -> Reply:
    body = content.encode("utf-8", "surrogateescape")
    return Reply(headers={"content-type": "text/plain", "server": "EC2ws"}, body=body)


def _refusal(status: int) -> Reply:
    title = f"{status} - {_TITLES[status]}"
    page = (
        '<?xml version="1.0" encoding="iso-8859-1"?>\n<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en">\n'
        f" <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n </body>\n</html>\n"
    )
    return Reply(status=status, headers={"content-type": "text/html", "server": "EC2ws"}, body=page.encode())
