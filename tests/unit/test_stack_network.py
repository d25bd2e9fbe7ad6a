"""What the network tools print, read."""

from __future__ import annotations

from parity.stack.network import overlimits

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
