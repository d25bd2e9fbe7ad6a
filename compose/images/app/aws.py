"""The little of AWS that an instance needs, by the standard library: signed requests, and its own metadata.

Source: "Signature Version 4" and "Use instance metadata" in AWS's documentation.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from xml.etree import ElementTree as ET

TIMEOUT_S = 5.0
METADATA = "http://169.254.169.254"
TOKEN_TTL_S = 300


class RefusedError(Exception):
    """A service answered with an error; `status` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status


def request(service: str, method: str, path: str, body: bytes, environment: Mapping[str, str] = os.environ) -> bytes:
    """Make a signed request to the service at `AWS_ENDPOINT_URL`.

    Raises:
        RefusedError: The service answered with an error.
        OSError: It did not answer.
    """
    url = environment["AWS_ENDPOINT_URL"].rstrip("/")
    quoted = urllib.parse.quote(path)
    host = urllib.parse.urlsplit(url).netloc
    headers = _signed(service, method, quoted, body, host=host, environment=environment)
    form = "application/x-www-form-urlencoded; charset=utf-8"
    headers["Content-Type"] = "text/plain; charset=utf-8" if service == "s3" else form
    return _open(urllib.request.Request(url + quoted, data=body, headers=headers, method=method))


def query(service: str, version: str, parameters: Mapping[str, str]) -> ET.Element:
    """Call an operation of the query protocol.

    Args:
        service: As signatures name it.
        version: Of its API.
        parameters: `Action` among them.

    Returns:
        The answer, its tags without their namespace.

    Raises:
        RefusedError: The service answered with an error.
        OSError: It did not answer.
    """
    body = urllib.parse.urlencode({"Version": version, **parameters}).encode()
    root = ET.fromstring(request(service, "POST", "/", body))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def metadata(path: str, environment: Mapping[str, str] = os.environ) -> str:
    """What the metadata service says, such as `instance-id`; empty where there is no such category.

    Raises:
        OSError: It does not answer.
    """
    url = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", METADATA).rstrip("/")
    asked = urllib.request.Request(
        f"{url}/latest/api/token",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_S)},
        method="PUT",
    )
    token = _open(asked).decode()
    try:
        found = _open(
            urllib.request.Request(f"{url}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
        )
    except RefusedError as error:
        if error.status != 404:
            raise OSError(str(error)) from error
        return ""
    return found.decode()


def _open(asked: urllib.request.Request) -> bytes:
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, error.read(500).decode(errors="replace")) from error


def _signed(
    service: str, method: str, path: str, body: bytes, *, host: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """The headers that a request is signed with."""
    now = time.gmtime()
    stamp, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
    region = environment.get("AWS_DEFAULT_REGION", "us-east-1")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    if token := environment.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [method, path, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, digest]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{environment.get('AWS_SECRET_ACCESS_KEY', '')}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{environment.get('AWS_ACCESS_KEY_ID', '')}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    del headers["host"]
    return headers | {"authorization": authorization}
