"""Key pairs whose public half was imported. EC2 makes none here: what runs in a container has no use for one."""

from __future__ import annotations

import base64
import binascii
import hashlib

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import describing, refuse_dry_run, specified_tags, tag_list
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import KeyPair

#: Kinds of keys as OpenSSH and as EC2 call them.
_KINDS = {"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}


@operation("ec2", "ImportKeyPair")
def _import(region: Region, request: Request) -> Answer:
    name, material = request["KeyName"], request["PublicKeyMaterial"]
    if any(pair.name == name for pair in region.state.key_pairs.values()):
        raise ServiceError("InvalidKeyPair.Duplicate", f"The keypair already exists: {name}")
    public_key = _text(material)
    kind, fingerprint = _read(public_key)
    tags = specified_tags(request.get("TagSpecifications"), "key-pair")
    refuse_dry_run(request)
    pair = KeyPair(
        key_pair_id=region.new_id("key-"),
        name=name,
        fingerprint=fingerprint,
        kind=kind,
        public_key=public_key,
        created_us=region.now_us,
        tags=tags,
    )
    region.state.key_pairs[pair.key_pair_id] = pair
    return {
        "KeyName": name,
        "KeyPairId": pair.key_pair_id,
        "KeyFingerprint": fingerprint,
        "Tags": tag_list(tags),
    }


def _text(material: str | bytes) -> str:
    """The key as OpenSSH writes it; it comes as it is, or in base64."""
    if isinstance(material, bytes):
        return material.decode("utf-8", "replace").strip()
    if material.startswith("ssh-"):
        return material.strip()
    try:
        return base64.b64decode(material, validate=True).decode("utf-8", "replace").strip()
    except (binascii.Error, ValueError):
        return ""


def _read(public_key: str) -> tuple[str, str]:
    """A key's kind and fingerprint. M: an RSA key's is of OpenSSH's form of it, where EC2 takes the one in DER."""
    kind, _, rest = public_key.partition(" ")
    try:
        raw = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if kind not in _KINDS or not raw:
        raise ServiceError("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
    if kind == "ssh-ed25519":
        return "ed25519", base64.b64encode(hashlib.sha256(raw).digest()).decode()
    digits = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    return "rsa", ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))


@operation("ec2", "DeleteKeyPair")
def _delete(region: Region, request: Request) -> Answer:
    """To delete what is not there is no error, as in EC2."""
    if not request.get("KeyName") and not request.get("KeyPairId"):
        raise ServiceError("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
    refuse_dry_run(request)
    for pair in list(region.state.key_pairs.values()):
        if pair.name == request.get("KeyName") or pair.key_pair_id == request.get("KeyPairId"):
            del region.state.key_pairs[pair.key_pair_id]
            return {"Return": True, "KeyPairId": pair.key_pair_id}
    return {"Return": True}


@describing("DescribeKeyPairs")
def _describe(region: Region, request: Request) -> Answer:
    pairs = region.state.key_pairs
    names = {pair.name: pair for pair in pairs.values()}
    for name in request.get("KeyNames") or ():
        if name not in names:
            raise ServiceError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    for given in request.get("KeyPairIds") or ():
        if given not in pairs:
            raise ServiceError("InvalidKeyPair.NotFound", f"The key pair ID '{given}' does not exist")
    asked = {*(names[name].key_pair_id for name in request.get("KeyNames") or ()), *(request.get("KeyPairIds") or ())}
    found = [pair for pair in pairs.values() if not asked or pair.key_pair_id in asked]
    found = filters.chosen(found, request.get("Filters"), _FIELDS, tags=lambda pair: pair.tags)
    with_key = bool(request.get("IncludePublicKey"))
    return {"KeyPairs": [_shown(pair) | ({"PublicKey": pair.public_key} if with_key else {}) for pair in found]}


def _shown(pair: KeyPair) -> Answer:
    return {
        "KeyPairId": pair.key_pair_id,
        "KeyName": pair.name,
        "KeyFingerprint": pair.fingerprint,
        "KeyType": pair.kind,
        "CreateTime": pair.created_us,
        "Tags": tag_list(pair.tags),
    }


_FIELDS: filters.Fields[KeyPair] = {
    "fingerprint": lambda pair: [pair.fingerprint],
    "key-name": lambda pair: [pair.name],
    "key-pair-id": lambda pair: [pair.key_pair_id],
}
