"""Concise Binary Object Representation, as far as AWS's protocol `smithy-rpc-v2-cbor` uses it.

Source: RFC 8949; Smithy RPC v2 CBOR, "Timestamps": tag 1 with seconds since 1970.
"""

from __future__ import annotations

import struct
from typing import Any

_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_INDEFINITE = 31
_BREAK = 0xFF
_DEPTH_MAX = 64


class Moment(float):
    """Seconds since 1970: what is written with tag 1."""


def encode(value: Any) -> bytes:
    """A value as CBOR; dicts, lists, strings, bytes, numbers, `Moment`, booleans and None."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def decode(data: bytes) -> Any:
    """The value that is written; what has tag 1 becomes a `Moment`, other tags count for nothing.

    Raises:
        ValueError: It is not CBOR, or there is more than one value.
    """
    try:
        value, at = _read(data, 0, 0)
    except (IndexError, struct.error, UnicodeDecodeError, TypeError) as problem:
        raise ValueError(f"not CBOR: {problem}") from problem
    if at != len(data):
        raise ValueError(f"not CBOR: {len(data) - at} bytes follow the value")
    return value


def _head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for code, size in _SIZES.items():
        if number < 1 << 8 * size:
            out.append(major << 5 | code)
            out += number.to_bytes(size, "big")
            return
    raise ValueError(f"{number} is too large for CBOR")


def _write(out: bytearray, value: Any) -> None:
    match value:
        case None | bool():
            out.append({None: 0xF6, True: 0xF5, False: 0xF4}[value])
        case int():
            _head(out, *((0, value) if value >= 0 else (1, -1 - value)))
        case float():
            out += b"\xc1\xfb" if isinstance(value, Moment) else b"\xfb"
            out += struct.pack(">d", value)
        case str() | bytes():
            raw = value.encode() if isinstance(value, str) else value
            _head(out, 3 if isinstance(value, str) else 2, len(raw))
            out += raw
        case dict():
            _head(out, 5, len(value))
            for key, item in value.items():
                _write(out, key)
                _write(out, item)
        case list():
            _head(out, 4, len(value))
            for item in value:
                _write(out, item)
        case _:
            raise TypeError(f"no CBOR for {type(value).__name__}")


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The value at a place, and the place after it."""
    if depth > _DEPTH_MAX:
        raise ValueError("not CBOR: too deep")
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return _read_simple(data, at, info)
    if info == _INDEFINITE:
        return _read_indefinite(data, at, major, depth)
    number, at = _read_number(data, at, info)
    match major:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2 | 3:
            raw = _bytes(data, at, number)
            return (raw if major == 2 else raw.decode()), at + number
        case 4:
            return _read_items(data, at, number, depth)
        case 5:
            return _read_pairs(data, at, number, depth)
        case _:
            value, at = _read(data, at, depth + 1)
            return (Moment(value) if number == 1 else value), at


def _read_number(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, at
    if info not in _SIZES:
        raise ValueError(f"not CBOR: additional information {info}")
    size = _SIZES[info]
    return int.from_bytes(_bytes(data, at, size), "big"), at + size


def _bytes(data: bytes, at: int, size: int) -> bytes:
    raw = data[at : at + size]
    if len(raw) < size:
        raise ValueError("not CBOR: it ends too early")
    return raw


def _read_simple(data: bytes, at: int, info: int) -> tuple[Any, int]:
    if info in _SIMPLE:
        return _SIMPLE[info], at
    if info not in _FLOATS:
        raise ValueError(f"not CBOR: simple value {info}")
    form = _FLOATS[info]
    return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)


def _read_items(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, at = _read(data, at, depth + 1)
        items.append(item)
    return items, at


def _read_pairs(data: bytes, at: int, count: int, depth: int) -> tuple[dict[str, Any], int]:
    pairs: dict[str, Any] = {}
    for _ in range(count):
        key, at = _read(data, at, depth + 1)
        pairs[key], at = _read(data, at, depth + 1)
    return pairs, at


def _read_indefinite(data: bytes, at: int, major: int, depth: int) -> tuple[Any, int]:
    items = []
    while data[at] != _BREAK:
        item, at = _read(data, at, depth + 1)
        items.append(item)
    at += 1
    match major:
        case 2:
            return b"".join(items), at
        case 3:
            return "".join(items), at
        case 4:
            return items, at
        case 5 if len(items) % 2 == 0:
            return dict(zip(items[::2], items[1::2], strict=True)), at
        case _:
            raise ValueError(f"not CBOR: indefinite length of kind {major}")
