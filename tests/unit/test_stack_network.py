"""What the network tools print, read."""

from __future__ import annotations

from parity.stack.network import counted, overlimits

TOKEN_BUCKET = """\
qdisc tbf 8003: root refcnt 2 rate 128Kbit burst 1600b lat 500ms
 Sent 48291 bytes 301 pkt (dropped 4, overlimits 97 requeues 0)
 backlog 1514b 1p requeues 0"""

NONE = """\
qdisc noqueue 0: root refcnt 2
 Sent 0 bytes 0 pkt (dropped 0, overlimits 5 requeues 0)
 backlog 0b 0p requeues 0"""


def test_a_token_bucket_tells_how_often_it_was_empty():
    assert overlimits(TOKEN_BUCKET) == 97


def test_without_a_token_bucket_nothing_was_held_back():
    assert overlimits(NONE) == overlimits("") == 0


def rule(table: str, *expressions: dict[str, object]) -> dict[str, object]:
    return {"rule": {"family": "inet", "table": table, "chain": "output", "handle": 1, "expr": list(expressions)}}


def counter(packets: int) -> dict[str, object]:
    return {"counter": {"packets": packets, "bytes": 60 * packets}}


def test_only_parity_s_own_rules_prove_a_fault():
    """Docker's name server has rules with counters in every container: a lookup is no dropped packet."""
    ruleset = {
        "nftables": [
            {"metainfo": {"json_schema_version": 1}},
            {"table": {"family": "ip", "name": "nat", "handle": 1}},
            rule("nat", {"match": {}}, counter(7), {"xt": None}),
            rule("parity", {"match": {}}, counter(3), {"drop": None}),
            rule("parity", {"match": {}}, counter(2), {"drop": None}),
        ]
    }
    assert counted(ruleset) == 5
