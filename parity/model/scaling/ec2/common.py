"""What the calls of EC2 have in common: dry runs, ids, tags, pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from parity.errors import ServiceError
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Operation, Region, Request, operation

T = TypeVar("T")
TAGS_MAX = 50
USER_DATA_BYTES_MAX = 16_384
#: What EC2's messages call a member that states ids.
_WIRE_NAMES = {"InstanceIds": "instancesSet", "ImageIds": "imagesSet"}
_ID_DIGITS = re.compile(r"[0-9a-f]{8}|[0-9a-f]{17}")


def describing(name: str) -> Callable[[Operation], Operation]:
    """Register an operation of EC2 that only reads; a dry run of it is refused where the call itself would not be."""

    def register(function: Operation) -> Operation:
        def answer(region: Region, request: Request) -> Answer:
            found = function(region, request)
            refuse_dry_run(request)
            return found

        operation("ec2", name, reads=True)(answer)
        return function

    return register


def refuse_dry_run(request: Request) -> None:
    """Called where everything is checked and nothing changed yet.

    Raises:
        ServiceError: It is a dry run: EC2's way to say that the call would have succeeded.
    """
    if request.get("DryRun"):
        raise ServiceError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)


def check_ids(ids: Iterable[str], known: Container[str], *, prefix: str, code: str) -> list[str]:
    """The ids that are well-formed and unknown, in order.

    Args:
        ids: As the call states them.
        known: The ids there are.
        prefix: Such as `i-`.
        code: The error of an id that cannot be one, without what follows the dot, such as `InvalidInstanceID`.

    Raises:
        ServiceError: One cannot be such an id.
    """
    ids = list(ids)
    for given in ids:
        if not given.startswith(prefix):
            raise ServiceError(f"{code}.Malformed", f'Invalid id: "{given}" (expecting "{prefix}...")')
        if given not in known and not _ID_DIGITS.fullmatch(given.removeprefix(prefix)):
            raise ServiceError(f"{code}.Malformed", f'Invalid id: "{given}"')
    return [given for given in ids if given not in known]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as answers have them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def given_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags that a call wants put, as a mapping.

    Raises:
        ServiceError: A key is stated twice, or is one that only AWS may put.
    """
    put: dict[str, str] = {}
    for tag in tags:
        key = tag.get("Key", "")
        if not key:
            raise ServiceError("MissingParameter", "The request must contain the parameter Tag.Key")
        if key.lower().startswith("aws:"):
            raise ServiceError(
                "InvalidParameterValue",
                f"Invalid value '{key}' for tag key. Tag keys starting with 'aws:' are reserved for internal use",
            )
        if key in put:
            raise ServiceError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        put[key] = tag.get("Value", "")
    check_tag_count(put)
    return put


def check_tag_count(tags: Mapping[str, str]) -> None:
    """A resource may have 50 tags, those of AWS's own not counted.

    Raises:
        ServiceError: There are more.
    """
    if sum(1 for key in tags if not key.startswith("aws:")) > TAGS_MAX:
        raise ServiceError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")


def specified_tags(specifications: Iterable[Mapping[str, Any]] | None, kind: str) -> dict[str, str]:
    """The tags that `TagSpecifications` has for a kind of resource, such as `instance`."""
    tags: list[Mapping[str, str]] = []
    for specification in specifications or ():
        if specification.get("ResourceType") == kind:
            tags += specification.get("Tags") or ()
    return given_tags(tags)


def checked_user_data(data: str) -> str:
    """User data as stated, in base64.

    Raises:
        ServiceError: It is no base64, or more than 16 KB.
    """
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServiceError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from error
    if len(raw) > USER_DATA_BYTES_MAX:
        raise ServiceError("InvalidParameterValue", f"User data is limited to {USER_DATA_BYTES_MAX} bytes")
    return data


def page_of(
    items: Sequence[T],
    request: Request,
    *,
    key: Callable[[T], str],
    smallest: int = 1,
    ids: str = "",
) -> tuple[list[T], dict[str, str]]:
    """One page of what a call describes.

    Args:
        items: All of it.
        request: Its `MaxResults` and `NextToken` count.
        key: What an item is known by.
        smallest: The smallest page the call may ask for.
        ids: The member of the request that states ids, where the call takes no page beside it.

    Returns:
        The items, and `NextToken` for the answer where there is a next page.

    Raises:
        ServiceError: The page's size is not one, or ids and a page are asked for.
    """
    limit = request.get("MaxResults")
    if limit is None:
        limit = 1000
    elif ids and request.get(ids):
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameter {_WIRE_NAMES.get(ids, ids)} cannot be used with the parameter maxResults",
        )
    elif limit < smallest:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ( {limit} ) for parameter maxResults is invalid. Expecting a value greater than {smallest}.",
        )
    chosen, token = page(items, token=request.get("NextToken"), limit=min(limit, 1000), key=key)
    return chosen, {"NextToken": token} if token else {}
