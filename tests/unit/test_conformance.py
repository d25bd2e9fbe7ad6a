"""Literal histories against the contract: what is allowed, what is not, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest
from contract_settings import settings_of

from parity.check.conformance import Conformance, Difference, conformance
from parity.check.verdict import Verdict
from parity.history.events import (
    Census,
    Delivery,
    Effect,
    Event,
    Fault,
    Found,
    Instance,
    Lifecycle,
    Node,
    Phase,
    Point,
    Submit,
    Submitted,
)
from parity.model.contract import BRANCHES, DEVIATIONS, LATENESS_US, RULES, Contract, Deviation
from parity.model.settings import DatabaseModel

#: Longer than anything is late: events so far apart happened in their order.
APART_US = 10 * LATENESS_US


def spread(*events: Event, apart_us: int = APART_US) -> list[Event]:
    """The events one after the other, each clearly after the one before, between the phases of a whole run."""
    told = [Phase(t_us=0, phase="faults"), *events]
    times = {id(event): at * apart_us for at, event in enumerate(told)}
    return [type(event)(**{**_fields(event), "t_us": times[id(event)]}) for event in told]


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def whole(*events: Event, found: tuple[Found, ...] = (), apart_us: int = APART_US) -> list[Event]:
    dead = sum(one.place == "dead_letter" for one in found)
    census = Census(t_us=0, complete=True, queued=len(found) - dead, dead_lettered=dead)
    ends = (Phase(t_us=0, phase="census"), *found, census, Phase(t_us=0, phase="end"))
    return spread(*events, *ends, apart_us=apart_us)


def submit(job: int = 0, kind: str = "") -> Submit:
    return Submit(t_us=0, job=job, kind=kind)


def outcome(what: Any = "ok", job: int = 0) -> Submitted:
    return Submitted(t_us=0, job=job, outcome=what)


def delivery(worker: str = "a", *, again: bool | None = False, job: int = 0) -> Delivery:
    return Delivery(t_us=0, job=job, worker=worker, redelivered=again)


def point(what: str, worker: str = "a", job: int = 0) -> Point:
    return Point(t_us=0, job=job, worker=worker, point=what)


def effect(count: int = 1, job: int = 0) -> Effect:
    return Effect(t_us=0, job=job, count=count)


def dead(job: int = 0) -> Found:
    return Found(t_us=0, job=job, place="dead_letter", queue="jobs.dead")


def queued(job: int = 0) -> Found:
    return Found(t_us=0, job=job, place="queue", queue="jobs")


def fault(phase: Any, *on: str, kind: str = "kill", target: str = "every node") -> Fault:
    return Fault(t_us=0, fault=0, kind=kind, target=target, phase=phase, on=on)


EXITED = Instance(t_us=0, instance="a", state="exited", exit_code=137)
WORKED = (point("committed"), point("acknowledged"), effect())


def by(worker: str) -> tuple[Event, ...]:
    return (point("committed", worker), point("acknowledged", worker), effect())


DONE = (submit(), outcome(), delivery(), *WORKED)


def held(events: list[Event], stack: str = "compose/rabbitmq", **turned: Any) -> Conformance:
    return conformance(events, Contract(settings_of(stack, turned)))


def broken(found: Conformance) -> list[str]:
    return [difference.rule for difference in found.differences]


ALLOWED: dict[str, tuple[list[Event], str]] = {
    "worked": (whole(*DONE), "work.acknowledged"),
    "delivered before the confirm": (
        whole(submit(), delivery(), outcome(), *WORKED),
        "submit.confirmed-late",
    ),
    "left in the queue": (whole(submit(), outcome(), found=(queued(),)), "end.queued"),
    "a holder that died": (
        whole(
            submit(),
            outcome(),
            delivery(),
            EXITED,
            delivery("b", again=True),
            point("committed", "b"),
            point("acknowledged", "b"),
            effect(),
        ),
        "delivery.after-worker",
    ),
    "fetched ahead by one that died": (
        whole(submit(), outcome(), EXITED, delivery("b", again=True), *by("b")),
        "delivery.fetched-ahead",
    ),
    "an acknowledgement that was lost": (
        whole(
            *DONE,
            EXITED,
            delivery("b", again=True),
            point("committed", "b"),
            point("acknowledged", "b"),
            apart_us=LATENESS_US // 4,
        ),
        "delivery.acknowledged",
    ),
    "committed without a word": (
        whole(
            submit(),
            outcome(),
            delivery(),
            EXITED,
            effect(),
            delivery("b", again=True),
            EXITED,
            found=(queued(),),
        ),
        "effect.unannounced",
    ),
    "unknown and absent": (
        whole(submit(), fault("applying", "rabbit1"), outcome("info"), fault("healed", "rabbit1")),
        "unknown.absent",
    ),
    "unknown and done": (
        whole(submit(), fault("applying", "rabbit1"), outcome("info"), delivery(), *WORKED),
        "unknown.enqueued",
    ),
    "refused": (whole(fault("applying", "producer-1", target="producer"), submit(), outcome("fail")), "submit.refused"),
    "a node that is down by itself": (
        whole(Node(t_us=0, node="rabbit1", state="down"), submit(), outcome("info")),
        "unknown.absent",
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_the_contract_allows_holds_and_shows_its_branch(name: str) -> None:
    events, branch = ALLOWED[name]
    found = held(events)
    assert (found.verdict, found.differences) == (Verdict.HOLDS, ())
    assert found.branches[branch] == 1


FORBIDDEN: dict[str, tuple[list[Event], list[str]]] = {
    "delivered and never submitted": (whole(delivery()), ["submit.first"]),
    "submitted twice": (whole(submit(), submit(), outcome(), found=(queued(),)), ["submit.first"]),
    "two outcomes": (whole(submit(), outcome(), outcome("info"), found=(queued(),)), ["submit.one-outcome"]),
    "unknown for no cause": (whole(submit(), outcome("info")), ["submit.undisturbed"]),
    "refused and delivered": (
        whole(fault("applying", "rabbit1"), submit(), outcome("fail"), delivery()),
        ["submit.refused"],
    ),
    "flagged at once": (whole(submit(), outcome(), delivery(again=True), *WORKED), ["custody.flag"]),
    "a second holder": (
        whole(submit(), outcome(), delivery(), delivery("b", again=True)),
        ["custody.one-holder"],
    ),
    "not flagged the second time": (
        whole(submit(), outcome(), delivery(), EXITED, delivery("b")),
        ["custody.flag"],
    ),
    "delivered after its acknowledgement": (whole(*DONE, delivery("b", again=True)), ["custody.acknowledged"]),
    "acknowledged before committed": (whole(submit(), outcome(), delivery(), point("acknowledged")), ["work.order"]),
    "committed by another": (whole(submit(), outcome(), delivery(), point("committed", "b")), ["work.order"]),
    "a poison job that is done": (
        whole(submit(kind="poison"), outcome(), delivery(), point("committed")),
        ["work.failing"],
    ),
    "an ordinary job that is given back": (
        whole(submit(), outcome(), delivery(), point("rejected")),
        ["work.failing"],
    ),
    "an effect of nothing": (whole(submit(), outcome(), effect(), found=(queued(),)), ["effect.after-delivery"]),
    "two effects": (whole(*DONE, effect(2)), ["effect.once"]),
    "an effect that is gone": (whole(*DONE, effect(0)), ["effect.stays"]),
    "committed and not there": (
        whole(submit(), outcome(), delivery(), point("committed"), point("acknowledged")),
        ["effect.stays"],
    ),
    "found and done": (whole(*DONE, found=(queued(),)), ["census.place"]),
    "found twice": (whole(submit(), outcome(), found=(queued(), queued())), ["census.place"]),
    "dead for no cause": (whole(submit(), outcome(), found=(dead(),)), ["census.place"]),
    "lost": (whole(submit(), outcome()), ["census.kept"]),
    "lost with its holder": (whole(submit(), outcome(), delivery(), EXITED), ["census.kept"]),
    "lost with a node": (
        whole(submit(), outcome(), fault("applying", "rabbit1"), fault("healed", "rabbit1")),
        ["census.kept"],
    ),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_the_contract_forbids_is_a_difference(name: str) -> None:
    events, rules = FORBIDDEN[name]
    found = held(events)
    assert (found.verdict, broken(found)) == (Verdict.VIOLATED, rules)


def test_every_rule_but_two_is_broken_by_a_history_of_this_page() -> None:
    # What contradicts a confirm, and what was given up and comes again, need a history of their own.
    missing = RULES.keys() - {rule for _, rules in FORBIDDEN.values() for rule in rules}
    assert missing == {"submit.confirmed", "custody.given-up"}


def test_a_difference_says_what_was_expected_what_was_seen_and_what_came_before() -> None:
    events = whole(submit(), outcome(), delivery(), delivery("b", again=True))
    found = held(events)
    assert found.differences == (
        Difference(
            job=0,
            t_us=4 * APART_US,
            rule="custody.one-holder",
            expected="held by a",
            observed="delivered to b, flagged as redelivered",
            life=tuple(events[1:5]),
        ),
    )
    assert (found.reason, found.count) == ("1 of 1 jobs did what the contract forbids", 1)


def poisoned(rejects: int) -> list[Event]:
    tries = [
        event
        for at in range(rejects)
        for event in (delivery("ab"[at % 2], again=at > 0), point("rejected", "ab"[at % 2]))
    ]
    return [submit(kind="poison"), outcome(), *tries]


def test_a_limit_of_three_gives_a_job_up_after_four_deliveries() -> None:
    assert held(whole(*poisoned(4), found=(dead(),)), delivery_limit=3).verdict is Verdict.HOLDS
    assert broken(held(whole(*poisoned(5)), delivery_limit=3)) == ["custody.given-up"]
    assert broken(held(whole(*poisoned(4), found=(queued(),)), delivery_limit=3)) == ["census.place"]
    assert broken(held(whole(*poisoned(4)), delivery_limit=3)) == ["census.kept"]


def test_what_another_source_tells_too_late_is_put_in_order() -> None:
    # The second worker's line is read before the first one's exit is told.
    late = whole(
        submit(),
        outcome(),
        delivery(),
        delivery("b", again=True),
        EXITED,
        point("committed", "b"),
        point("acknowledged", "b"),
        effect(),
        apart_us=LATENESS_US // 10,
    )
    assert held(late).verdict is Verdict.HOLDS


def test_exits_are_told_in_any_order() -> None:
    # Each worker's exit is waited for by a thread of its own.
    exits = [Instance(t_us=0, instance=name, state="exited", exit_code=3) for name in ("c", "a", "b")]
    taken = (delivery(), delivery("b", again=True), delivery("c", again=True))
    last = (delivery("d", again=True), point("committed", "d"), point("acknowledged", "d"), effect())
    late = whole(submit(), outcome(), *taken, *exits, *last, apart_us=LATENESS_US // 4)
    assert held(late).verdict is Verdict.HOLDS
    # One too few: two of the three had the job at a time.
    missing = [event for event in late if not (isinstance(event, Instance) and event.instance == "b")]
    assert broken(held(missing)) == ["custody.one-holder"]


def test_a_source_keeps_its_own_order() -> None:
    swapped = whole(
        submit(), outcome(), point("committed"), delivery(), point("acknowledged"), effect(), apart_us=LATENESS_US // 10
    )
    assert broken(held(swapped)) == ["work.order"]


@pytest.mark.parametrize(
    ("stack", "events", "branch"),
    [
        ("automatic-acknowledgement", (submit(), outcome(), delivery(), EXITED), "lost.automatic"),
        (
            "acknowledgement-before-commit",
            (submit(), outcome(), delivery(), point("acknowledged"), EXITED),
            "lost.unfinished",
        ),
        ("no-confirms", (submit(), fault("applying", "rabbit1"), outcome()), "lost.written"),
        ("transient-messages", (submit(), outcome(), fault("applying", "rabbit1")), "lost.transient"),
        (
            "acknowledges-at-the-door",
            (submit(), outcome(), fault("applying", "a", kind="stop", target="any worker")),
            "lost.left",
        ),
        (
            "acknowledges-at-the-door",
            (submit(), outcome(), delivery(), fault("applying", "a", kind="stop", target="any worker")),
            "lost.left",
        ),
        (
            "acknowledges-what-it-cannot-commit",
            (
                submit(),
                outcome(),
                fault("applying", "postgres", kind="exhaust_connections", target="database"),
                delivery(),
                point("rejected"),
                point("acknowledged"),
            ),
            "lost.failed",
        ),
    ],
)
def test_a_loss_is_allowed_where_the_settings_permit_it_and_only_with_its_cause(
    stack: str, events: tuple[Event, ...], branch: str
) -> None:
    found = held(whole(*events), f"compose/rabbitmq+{stack}")
    assert (found.verdict, found.branches[branch]) == (Verdict.HOLDS, 1)
    harmless = [event for event in events if not isinstance(event, Fault | Instance)]
    assert held(whole(*harmless), f"compose/rabbitmq+{stack}").verdict is Verdict.VIOLATED
    assert held(whole(*events)).verdict is Verdict.VIOLATED


def test_a_failing_job_is_lost_where_the_worker_acknowledges_it_and_said_so() -> None:
    told = (submit(kind="poison"), outcome(), delivery(), point("rejected"))
    stack = "compose/rabbitmq+drops-what-fails"
    found = held(whole(*told, point("acknowledged")), stack)
    assert (found.verdict, found.branches["lost.failed"]) == (Verdict.HOLDS, 1)
    assert broken(held(whole(*told), stack)) == ["census.kept"]
    assert broken(held(whole(submit(kind="poison"), outcome(), delivery(), point("acknowledged")), stack))
    assert broken(held(whole(*told, point("acknowledged"), effect()), stack)) == ["work.failing"]
    returned = (*told, point("acknowledged"), EXITED, delivery("b", again=True), point("rejected", "b"))
    assert held(whole(*returned, point("acknowledged", "b"), apart_us=LATENESS_US // 4), stack).verdict is Verdict.HOLDS


def test_what_answers_for_a_failed_commit_can_give_the_job_back() -> None:
    settings = settings_of("compose/rabbitmq")
    worker = settings.worker.model_copy(update={"on_commit_error": "requeue"})
    disturbed = fault("applying", "postgres", kind="exhaust_connections", target="database")
    again = (point("rejected"), delivery("b", again=True), *by("b"))
    events = whole(submit(), outcome(), disturbed, delivery(), *again)
    found = conformance(events, Contract(settings.model_copy(update={"worker": worker})))
    assert (found.verdict, found.branches["delivery.after-reject"]) == (Verdict.HOLDS, 1)
    assert broken(conformance(events, Contract(settings))) == ["work.failing"]


def test_a_mirrored_queue_may_lose_only_once_the_policy_is_set() -> None:
    policy = Fault(t_us=0, fault=1, kind="set_policy", target="", phase="applied", detail="jobs: 2 mirrors of 2")
    events = (submit(), outcome(), fault("applying", "rabbit1"))
    assert held(whole(policy, *events), "compose/rabbitmq+classic-queue").branches["lost.mirror"] == 1
    assert broken(held(whole(*events), "compose/rabbitmq+classic-queue")) == ["census.kept"]


def test_an_effect_may_be_gone_only_where_commits_do_not_wait_for_the_disk() -> None:
    settings = settings_of("compose/rabbitmq")
    lazy = settings.model_copy(update={"database": DatabaseModel(synchronous_commit=False)})
    events = whole(*DONE, fault("applying", "postgres", target="database"), effect(0))
    assert conformance(events, Contract(lazy)).branches["effect.gone"] == 1
    assert broken(conformance(events, Contract(settings))) == ["effect.stays"]


def test_a_worker_that_does_not_look_has_one_effect_a_delivery() -> None:
    twice = (delivery("b", again=True), point("committed", "b"), point("acknowledged", "b"), effect(2))
    first = (submit(), outcome(), delivery(), point("committed"), effect(), EXITED)
    stack = "compose/rabbitmq+non-idempotent-worker"
    assert held(whole(*first, *twice), stack).branches["effect.repeated"] == 1
    assert broken(held(whole(*first, *twice, effect(3)), stack)) == ["effect.once"]


def test_what_a_history_cannot_show_is_unknown() -> None:
    assert held([]).reason == "the history stops before its end; up to there, nothing differs"
    cut_off = whole(*DONE)[:-1]
    assert held(cut_off).verdict is Verdict.UNKNOWN
    waiting = [event for event in whole(submit(), outcome()) if not isinstance(event, Census)]
    assert held(waiting).reason == "what became of 1 jobs only a complete census could tell"
    done = [event for event in whole(*DONE) if not isinstance(event, Census)]
    assert held(done).verdict is Verdict.HOLDS


def test_settings_and_policies_that_are_not_covered_are_unknown() -> None:
    settings = settings_of("compose/rabbitmq")
    batching = settings.model_copy(update={"worker": settings.worker.model_copy(update={"commit_every": 5})})
    found = conformance(whole(*DONE), Contract(batching))
    assert (found.verdict, found.reason) == (
        Verdict.UNKNOWN,
        "the contract does not cover worker.commit_every above 1",
    )
    policy = Fault(t_us=0, fault=0, kind="set_policy", target="", phase="applied", detail="jobs has the policy")
    assert held(whole(policy, *DONE)).verdict is Verdict.UNKNOWN


def test_policies_can_be_told_where_the_history_says_nothing_of_them() -> None:
    settings = settings_of("compose/rabbitmq+classic-queue")
    policy = Fault(t_us=0, fault=1, kind="set_policy", target="", phase="applied")
    events = whole(policy, submit(), outcome(), fault("applying", "rabbit1"))
    found = conformance(events, Contract(settings, policies=[{"ha-mode": "all"}]))
    assert (found.verdict, found.branches["lost.mirror"]) == (Verdict.HOLDS, 1)
    assert conformance(events, Contract(settings)).verdict is Verdict.VIOLATED
    found = conformance(events, Contract(settings, policies=[{"message-ttl": 5}]))
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, "the contract does not cover a policy's message-ttl")


def test_finished_jobs_are_put_away_and_taken_up_again() -> None:
    lives = [event for job in range(20_000) for event in _quick(job)]
    late = Phase(t_us=10**9, phase="drain")
    again = Delivery(t_us=2 * 10**9, job=17, worker="b", redelivered=True)
    ends = [
        Census(t_us=3 * 10**9, complete=True, queued=0, dead_lettered=0),
        Phase(t_us=3 * 10**9, phase="end"),
    ]
    found = held([*lives, late, *ends])
    assert (found.verdict, found.jobs, found.branches["work.acknowledged"]) == (Verdict.HOLDS, 20_000, 20_000)
    found = held([*lives, late, again, *ends])
    assert [(one.job, one.rule, one.life) for one in found.differences] == [(17, "custody.acknowledged", (again,))]


def _quick(job: int) -> list[Event]:
    t_us = job * 1000
    return [
        Submit(t_us=t_us, job=job),
        Submitted(t_us=t_us + 1, job=job, outcome="ok"),
        Delivery(t_us=t_us + 2, job=job, worker="a", redelivered=False),
        Point(t_us=t_us + 3, job=job, worker="a", point="committed"),
        Point(t_us=t_us + 4, job=job, worker="a", point="acknowledged"),
        Effect(t_us=t_us + 5, job=job, count=1),
    ]


def test_branches_that_are_shown_have_a_name() -> None:
    for events, _ in ALLOWED.values():
        assert held(events).branches.keys() <= BRANCHES.keys()


@pytest.mark.parametrize(("on_terminate", "differs"), [("ignore", True), ("complete", True), ("drain", False)])
def test_a_worker_leaves_the_broker_in_its_terminate_hook(on_terminate: str, differs: bool) -> None:
    """What it was sent and had not begun comes again from an instance that lives on."""
    hook = Lifecycle(t_us=0, instance="a", state="Terminating:Wait")
    events = whole(submit(), outcome(), hook, delivery("b", again=True), *by("b"))
    settings = settings_of("compose/rabbitmq")
    worker = settings.worker.model_copy(update={"on_terminate": on_terminate})
    found = conformance(events, Contract(settings.model_copy(update={"worker": worker})))
    assert broken(found) == (["custody.flag"] if differs else [])


@pytest.mark.parametrize(
    ("states", "differs"),
    [
        (("InService",), True),
        (("Terminating",), False),
        (("Terminating:Wait", "Terminating:Proceed"), False),
        (("Terminating", ""), True),
    ],
)
def test_an_instance_leaves_the_broker_while_it_is_terminated(states: tuple[str, ...], differs: bool) -> None:
    """Its exit is told long after that, on a busy machine."""
    told = [Lifecycle(t_us=0, instance="a", state=state) for state in states]
    events = whole(*told, submit(), outcome(), delivery("b", again=True), *by("b"))
    assert broken(held(events)) == (["custody.flag"] if differs else [])


@pytest.mark.parametrize(
    ("shipping", "effects", "broken_rules"),
    [("none", 1, ["census.kept"]), ("stream", 1, []), ("terminate", 1, []), ("stream", 0, ["census.kept"])],
)
def test_last_lines_may_be_lost_on_their_way_through_a_shipper(
    shipping: str, effects: int, broken_rules: list[str]
) -> None:
    """A worker did a job and acknowledged it, and was killed before the process was that passes its lines on."""
    events = whole(submit(), outcome(), delivery(), EXITED, *[effect()] * effects)
    settings = settings_of("compose/rabbitmq")
    worker = settings.worker.model_copy(update={"log_shipping": shipping})
    assert broken(conformance(events, Contract(settings.model_copy(update={"worker": worker})))) == broken_rules


@pytest.mark.parametrize(("queue_type", "broken_rules"), [("quorum", []), ("classic", ["custody.flag"])])
def test_a_quorum_queue_may_take_back_what_it_sent_without_acknowledgement(
    queue_type: str, broken_rules: list[str]
) -> None:
    events = whole(submit(), outcome(), EXITED, delivery("b", again=True), point("committed", "b"), effect())
    settings = settings_of("compose/rabbitmq+automatic-acknowledgement")
    broker = settings.broker.model_copy(update={"queue_type": queue_type})
    assert broken(conformance(events, Contract(settings.model_copy(update={"broker": broker})))) == broken_rules


def test_an_acknowledgement_of_long_before_a_death_has_arrived() -> None:
    assert broken(held(whole(*DONE, EXITED, delivery("b", again=True)))) == ["custody.acknowledged"]


def test_a_disputed_life_is_tried_with_all_that_was_so_since_its_events() -> None:
    # The exit is long before the delivery that it explains, and something else is late.
    events = [
        Phase(t_us=0, phase="faults"),
        Submit(t_us=1, job=0),
        Submitted(t_us=2, job=0, outcome="ok"),
        Delivery(t_us=3, job=0, worker="a", redelivered=False),
        Instance(t_us=4, instance="a", state="exited"),
        Effect(t_us=APART_US, job=0, count=1),
        Delivery(t_us=2 * APART_US + 1, job=0, worker="c", redelivered=True),
        Delivery(t_us=2 * APART_US + 2, job=0, worker="b", redelivered=True),
        Point(t_us=2 * APART_US + 3, job=0, worker="b", point="committed"),
        Instance(t_us=2 * APART_US + 4, instance="c", state="exited"),
        Point(t_us=2 * APART_US + 5, job=0, worker="b", point="acknowledged"),
        Phase(t_us=3 * APART_US, phase="census"),
        Census(t_us=3 * APART_US + 1, complete=True, queued=0, dead_lettered=0),
        Phase(t_us=3 * APART_US + 2, phase="end"),
    ]
    assert (held(events).verdict, held(events).differences) == (Verdict.HOLDS, ())


def test_a_known_deviation_is_counted_apart() -> None:
    known = Deviation(
        id="twice",
        says="A second worker is handed a job that the first one holds.",
        source="made up",
        observed="0.0",
        rule="custody.one-holder",
        queue_types=("quorum",),
    )
    events = whole(submit(), outcome(), delivery(), delivery("b", again=True), submit(1), outcome(job=1))
    found = conformance(events, Contract(settings_of("compose/rabbitmq"), deviations=[known]))
    assert (found.known, found.count, broken(found)) == ({"twice": 1}, 1, ["census.kept"])
    elsewhere = conformance(events, Contract(settings_of("compose/rabbitmq+classic-queue"), deviations=[known]))
    assert (elsewhere.known, elsewhere.count) == ({}, 2)


def test_every_deviation_breaks_a_rule_and_says_where_it_was_seen() -> None:
    for one in DEVIATIONS:
        assert one.rule in RULES
        assert one.source
        assert one.observed


def test_a_worker_that_woke_may_begin_what_it_had_fetched_before_its_connection_was_lost() -> None:
    paused = (fault("applying", "a", kind="pause", target="any worker"),)
    woke = (fault("healed", "a", kind="pause", target="any worker"), delivery("a"))
    others = (delivery("b", again=True), *by("b"))
    events = whole(submit(), outcome(), *paused, *others, *woke, apart_us=LATENESS_US // 4)
    assert held(events).branches["delivery.stale"] == 1
    dead = whole(submit(), outcome(), *paused, EXITED, *others, *woke, apart_us=LATENESS_US)
    assert broken(held(dead)) == ["custody.acknowledged"]
