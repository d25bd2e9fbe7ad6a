"""The times of the models. Each says what the real thing does, what the model does, why, and where that is known from.

A draw makes most of them longer in some runs; the value here is the benign one.
"""

from __future__ import annotations

#: Real: 0.05 to 0.5 ms between containers of one machine. Ours: 1 ms. Why: orders are kept, and nothing is decided by
#: less. Source: measured between containers of one engine.
LINK_US = 1_000

#: Real: a classic queue confirms a persistent message once it is on disk, up to a few hundred ms later. Ours: 8 ms, or
#: 300 ms where drawn. Why: what matters is whether a crash comes before. Source: RabbitMQ documentation, confirms.
FLUSH_US = 8_000

#: Real: a quorum queue confirms once a majority has written. Ours: 10 ms for all of it, or 300 ms where drawn. Why:
#: the log's own order is not modelled, only whether an entry is committed. Source: RabbitMQ documentation.
COMMIT_US = 10_000
SLOW_WRITE_US = 300_000

#: Real: a follower that sees its leader's process end calls an election within about a second. Ours: 1 s, to 3 s where
#: drawn. Why: elections are not modelled vote by vote. Source: measured, RabbitMQ 3.10.8.
ELECTION_US = 1_000_000

#: Real: a leader that vanishes silently is suspected after up to two rounds of 5 s. Ours: 6 s, to 10 s where drawn.
#: Why: as above. Source: measured, RabbitMQ 3.10.8 (aten, poll interval 5 s).
ELECTION_SILENT_US = 6_000_000

#: Real: nodes that lost each other are given up after 0.75 to 1.25 of net_ticktime, and after 1.0 at the least where
#: messages went to and fro until then. Ours: 1.1, and both ends where drawn. Why: the kernel's four ticks are not
#: modelled. Source: Erlang/OTP, kernel application, net_ticktime; 1.01 to 1.25 in 16 partitions of mirrored queues.
TICK_SHARES = (1.1, 0.75, 1.25)

#: Real: nodes look for one another again each second. Ours: 1 s. Why: nothing depends on less. Source: RabbitMQ
#: source, rabbit_node_monitor.
RECONNECT_US = 1_000_000

#: Real: a node that wakes may read what was in its sockets before it learns that its peers gave it up: a race, lost in
#: some runs. Ours: it learns at once; where drawn it serves for so long, or twice, before. Why: this is when a deposed
#: leader confirms. Source: recipe R4, measured.
WAKE_US = 300_000

#: Real: a channel sends to the mirrors that it knows of as well. On a leader that wakes it knows the old ones for
#: 0.2 s, and the one that leads by now takes the message in: 183 of 240 that had waited in sockets, 2 of 2 in another
#: run. Ours: both sides take in what comes within that time; where drawn, only the deposed leader does. Why: what
#: waited is rather safe, what is published later is not. Source: measured, leader-paused on classic-ignore, a pause on
#: classic-autoheal.
ECHO_US = 200_000

#: Real: a node boots in 4 to 10 s. Ours: 5 s, to 9 s where drawn. Why: only the order of boots matters.
#: Source: measured.
BOOT_US = 5_000_000

#: Real: a node that paused itself starts again within seconds once it sees a majority. Ours: 3 s. Why: as above.
#: Source: measured, pause_minority.
RESUME_US = 3_000_000

#: Real: autoheal stops the losers 1 s after the nodes see each other, and they boot. It was seen not to end in 90 s.
#: Ours: 1 s until the losers stop; where drawn, never. Why: what hangs is not modelled. Source: logs of recipe R3
#: and of a leader that was paused.
AUTOHEAL_US = 1_000_000

#: Real: an automatic synchronisation copies thousands of messages a second. Ours: 5 ms. Why: queues are short here.
#: Source: RabbitMQ documentation, mirroring.
SYNC_US = 5_000

#: Real: TCP and AMQP handshakes and the declarations of the queues. Ours: 30 ms. Why: nothing is decided by less.
#: Source: measured.
CONNECT_US = 30_000

#: Real: the reference application gives up a node whose packets vanish after 3 s, and one that is frozen after 5 s.
#: Ours: the same. Why: it decides when the next node is tried. Source: compose/images/app/broker.py.
CONNECT_CUT_US = 3_000_000
CONNECT_FROZEN_US = 5_000_000

#: Real: the reference application waits 0.1 s after a second failure, then twice as long, up to 1 s. Ours: the same.
#: Why: as above. Source: compose/images/app/settings.py.
BACKOFF_US = 100_000
BACKOFF_MAX_US = 1_000_000

#: Real: TCP_USER_TIMEOUT of 10 s at the clients; without one, heartbeats only. Ours: 10 s. Why: clients notice a dead
#: path by whichever is first. Source: compose/images/app/broker.py.
CLIENT_TIMEOUT_US = 10_000_000

#: Real: segments that were dropped are sent again with growing intervals. Ours: 0.2 s after the path is open again, to
#: 3 s where drawn. Why: the intervals are not modelled. Source: RFC 6298.
RESEND_US = 200_000

#: Real: the reference producer tries a refused job again after 0.3 s. Ours: the same. Why: it is the time that a queue
#: without leader is given. Source: compose/images/app/producer.py.
NACK_PAUSE_US = 300_000

#: Real: a commit takes 2 to 10 ms with synchronous_commit. Ours: 4 ms. Why: what matters is whether a crash comes
#: before. Source: measured, PostgreSQL 15.
DATABASE_US = 4_000

#: Real: parity looks into the stack's own database and into the run's, by a connection each; what it has beside them it
#: has for moments. Ours: two. Why: they are places that workers do not get. Source: parity/stack/database.py.
OWN_CONNECTIONS = 2

#: Real: a commit that is not synchronous is on disk within three times wal_writer_delay (200 ms). Ours: what was
#: committed in the last 0.2 s is lost by a crash, to 0.6 s where drawn. Why: the writer's own turns are not modelled,
#: nor that it writes full pages sooner. Source: PostgreSQL documentation, asynchronous commit.
UNSYNCED_US = 200_000

#: Real: relays of outboxes look into their table every 0.1 to 5 s. Ours: 0.5 s. Why: it is how soon a row is published
#: whose producer died. Source: the pattern's descriptions; the reference stack has no outbox.
OUTBOX_POLL_US = 500_000

#: Real: a killed PostgreSQL recovers in about a second. Ours: 1 s. Why: only its order with retries matters. Source:
#: measured.
DATABASE_BOOT_US = 1_000_000

#: Real: a connection attempt to a frozen database ends after 3 s. Ours: the same. Why: as for the broker. Source:
#: compose/images/app/effects.py.
DATABASE_CONNECT_FROZEN_US = 3_000_000

#: Real: a container and a Python process in it start within 0.7 to 2 s. Ours: 1 s, to 2 s where drawn. Why: it is how
#: long a dead worker is missing. Source: measured.
PROCESS_BOOT_US = 1_000_000

#: Real: a worker that starts anew in its container consumes again after 0.2 to 1 s. Ours: 0.5 s. Why: it is away for a
#: moment, and nothing depends on how long. Source: runs on containers.
RENEW_US = 500_000

#: Real: a deploy tool finds instances by two calls of the AWS API and connects to the first of them, 0.2 to 3 s. Ours:
#: 1 s, on containers too. Why: what is launched in between is not found. Source: examples/deploy.py, Capistrano.
DISCOVERY_US = 1_000_000

#: Real: a clean stop of an idle worker takes 0.1 to 0.3 s. Ours: 0.1 s. Why: nothing is decided by less. Source:
#: measured.
LEAVE_US = 100_000

#: Real: a queue that is stopped hands leadership over within a second. Ours: a stop takes 2 s for a node. Why: only
#: that it is graceful matters. Source: measured.
NODE_STOP_US = 2_000_000

#: Real: a job that fails each time comes back within a millisecond. Ours: 100 ms. Why: a job that comes back for ever
#: would be all that a simulated run does. Source: measured.
FAILURE_US = 100_000
