"""What is said of an Auto Scaling group: numbers that converge, bounds, activities, and the database's connections."""

from __future__ import annotations

import msgspec
from check_histories import NOTHING, done, effect, ended, exited, submitted, us

from parity.check import Finding, judge
from parity.history.events import (
    REFRESHING,
    Activity,
    Archived,
    Capacity,
    Connections,
    Deployed,
    Event,
    Instance,
    Lifecycle,
    Printed,
    Revision,
)
from parity.scenario.properties import Properties


def numbers(at: float, in_service: int, desired: int, *, most: int = 4, excused: str = "") -> list[Event]:
    return [
        Capacity(
            t_us=us(at), desired=desired, min_size=1, max_size=most, in_service=in_service, excused=excused, pending=0
        )
    ]


def living(*instances: str, at: float = 1) -> list[Event]:
    return [Instance(t_us=us(at), instance=instance, state="running") for instance in instances]


def state(instance: str, lifecycle: str, at: float = 2) -> list[Event]:
    return [Lifecycle(t_us=us(at), instance=instance, state=lifecycle)]


def activity(instance: str, what: str = "Launching a new", status: str = "Successful", at: float = 3) -> list[Event]:
    description = f"{what} EC2 instance: i-1"
    return [
        Activity(t_us=us(at), activity=f"{what} {instance}", status=status, description=description, instance=instance)
    ]


def found(name: str, history: list[Event], **claim: object) -> Finding:
    (finding,) = [
        finding
        for finding in judge(history, Properties(**{**NOTHING, name: True, **claim})).findings
        if finding.property == name
    ]
    return finding


class TestCapacityConverges:
    def verdict(self, *parts: list[Event]) -> str:
        return found("capacity_converges_within", ended(*parts), capacity_converges_within=10).verdict.value

    def test_in_time(self):
        assert self.verdict(numbers(1, 0, 2), numbers(5, 1, 2), numbers(9, 2, 2)) == "holds"

    def test_too_late(self):
        assert self.verdict(numbers(1, 0, 2), numbers(5, 1, 2), numbers(12, 2, 2)) == "violated"

    def test_never(self):
        assert self.verdict(numbers(1, 2, 2), numbers(5, 1, 2)) == "violated"

    def test_a_change_of_the_desired_number_begins_anew(self):
        assert self.verdict(numbers(1, 0, 2), numbers(9, 1, 3), numbers(18, 3, 3)) == "holds"

    def test_what_the_watch_did_not_see_to_its_end(self):
        assert self.verdict(numbers(1, 0, 2), numbers(2, 2, 2), numbers(195, 1, 2)) == "unknown"

    def test_nothing_to_converge(self):
        assert self.verdict(numbers(1, 2, 2)) == "unknown"
        assert self.verdict() == "unknown"

    def test_after_the_census_nobody_watches(self):
        history = ended(numbers(1, 0, 2), numbers(2, 2, 2))
        assert (
            found(
                "capacity_converges_within", [*history, *numbers(206, 0, 2)], capacity_converges_within=1
            ).verdict.value
            == "holds"
        )


class TestCapacityInBounds:
    def verdict(self, *parts: list[Event]) -> str:
        return found("capacity_in_bounds", ended(*parts)).verdict.value

    def test_within(self):
        assert self.verdict(numbers(0.5, 2, 2), living("a", "b", "c", "d")) == "holds"

    def test_too_many_live(self):
        assert self.verdict(numbers(0.5, 2, 2), living("a", "b", "c", "d", "e")) == "violated"

    def test_one_on_its_way_out_does_not_count(self):
        out = state("a", "Terminating", at=2)
        assert self.verdict(numbers(0.5, 2, 2), living("a", "b", "c", "d"), out, living("e", at=3)) == "holds"

    def test_one_that_stands_by_does_not_count(self):
        aside = state("a", "Standby", at=2)
        assert self.verdict(numbers(0.5, 2, 2), living("a", "b", "c", "d"), aside, living("e", at=3)) == "holds"

    def test_nobody_ever_lived(self):
        assert self.verdict(numbers(0.5, 0, 2)) == "unknown"

    def test_one_that_is_dead_does_not_count(self):
        gone = exited("a", at=2)
        assert self.verdict(numbers(0.5, 2, 2), living("a", "b", "c", "d"), gone, living("e", at=3)) == "holds"

    def test_a_reason_that_is_documented(self):
        excused = numbers(0.5, 2, 2, excused="instance refresh")
        assert self.verdict(excused, living("a", "b", "c", "d", "e")) == "holds"

    def test_the_desired_number_out_of_bounds(self):
        assert self.verdict(numbers(1, 2, 5)) == "violated"
        assert self.verdict(numbers(1, 2, 0)) == "violated"

    def test_no_group(self):
        assert self.verdict(living("a")) == "unknown"


class TestActivitiesMatch:
    def verdict(self, *parts: list[Event]) -> str:
        return found("activities_match", ended(numbers(0.5, 1, 1), *parts)).verdict.value

    def test_they_do(self):
        end = activity("a", "Terminating", at=11)
        assert self.verdict(living("a"), activity("a"), exited("a"), end) == "holds"

    def test_launched_and_never_lived(self):
        assert self.verdict(activity("a")) == "violated"

    def test_lived_without_a_launch(self):
        assert self.verdict(living("a")) == "violated"

    def test_ended_without_a_termination(self):
        assert self.verdict(living("a"), activity("a"), exited("a")) == "violated"

    def test_terminated_and_lives(self):
        assert self.verdict(living("a"), activity("a"), activity("a", "Terminating")) == "violated"

    def test_a_launch_that_was_cancelled_needs_no_termination(self):
        assert self.verdict(living("a"), activity("a", status="Cancelled"), exited("a")) == "holds"

    def test_one_that_stands_by_needs_none(self):
        """No check looks at it while it stands by, be it dead."""
        launched = [*activity("a"), *living("a")]
        assert self.verdict(launched, state("a", "Standby"), exited("a")) == "holds"
        assert self.verdict(launched, state("a", "InService"), exited("a")) == "violated"

    def test_nothing_was_launched(self):
        assert self.verdict() == "unknown"


def policy(at: float, before: int, after: int, *, instances: int = 1) -> list[Event]:
    """A policy that changed the desired number, as each instance that comes or goes tells of it."""
    what = "Terminating" if after < before else "Launching a new"
    alarm = "a monitor alarm TargetTracking-workers-AlarmLow-1 in state ALARM triggered policy processor"
    cause = f"At 2026-01-05T00:00:{at:02.0f}Z {alarm} changing the desired capacity from {before} to {after}.  At ..."
    told = [activity(f"i-{at}-{number}", what, "InProgress", at=at)[0] for number in range(instances)]
    return [msgspec.structs.replace(one, cause=cause) for one in told]


class TestBacklogGrowthAtScaleIn:
    #: Four instances since 2 s, with one job that waits.
    LARGE = (numbers(0.5, 1, 1), submitted(0, at=1), numbers(2, 4, 4))

    def finding(self, *parts: list[Event], bound: int = 2) -> Finding:
        return found("backlog_growth_at_scale_in", ended(*self.LARGE, *parts), backlog_growth_at_scale_in=bound)

    def verdict(self, *parts: list[Event], bound: int = 2) -> str:
        return self.finding(*parts, bound=bound).verdict.value

    def test_made_smaller_while_jobs_pile_up(self):
        finding = self.finding(submitted(1, 2, 3, 4, at=5), policy(9, 4, 2, instances=2), numbers(9, 2, 2))
        assert finding.verdict.value == "violated"
        assert finding.reason == (
            "at 9.000 s processor lowered the desired number from 4 to 2 with a backlog of 5 jobs, "
            "4 more than when it changed last"
        )

    def test_by_no_more_than_the_bound(self):
        shrunk = (submitted(1, 2, at=5), policy(9, 4, 2, instances=2), numbers(9, 2, 2))
        assert self.verdict(*shrunk, bound=2) == "holds"
        assert self.verdict(*shrunk, bound=1) == "violated"

    def test_made_smaller_when_all_is_done(self):
        work = (submitted(1, 2, 3, 4, at=5), done(0, 1, 2, 3, 4, at=6))
        finding = self.finding(*work, policy(9, 4, 2), numbers(9, 2, 2), bound=0)
        assert (finding.verdict.value, finding.reason) == (
            "holds",
            "1 times a policy lowered the desired number, with a backlog that had grown by 0 jobs at most",
        )

    def test_a_backlog_that_is_worked_off(self):
        """Large still, but less than when the group became as large as it is."""
        most = (submitted(*range(1, 40), at=5), numbers(6, 4, 3), numbers(7, 4, 4), done(*range(5), at=8))
        assert self.verdict(*most, policy(9, 4, 2), numbers(9, 2, 2), bound=0) == "holds"

    def test_once_more_under_the_smaller_size(self):
        first = (policy(5, 4, 3), numbers(5, 3, 3))
        finding = self.finding(*first, submitted(1, 2, 3, at=6), policy(9, 3, 1), numbers(9, 1, 1))
        assert finding.reason.startswith("at 9.000 s processor lowered the desired number from 3 to 1")
        assert "times in all" not in finding.reason

    def test_what_anybody_else_lowers_is_not_judged(self):
        user = "At 2026-01-05T00:00:09Z a user request explicitly set group desired capacity changing the desired "
        by_user = msgspec.structs.replace(activity("i-1", "Terminating", at=9)[0], cause=f"{user}capacity from 4 to 2.")
        assert self.verdict(submitted(*range(1, 9), at=5), [by_user], numbers(9, 2, 2)) == "unknown"

    def test_what_a_policy_raises_is_not_judged(self):
        assert self.verdict(submitted(*range(1, 9), at=5), policy(9, 4, 5), numbers(9, 4, 5)) == "unknown"

    def test_jobs_that_never_were_in_the_queue_are_no_backlog(self):
        refused = (submitted(1, 2, 3, 4, outcome="fail", at=5), submitted(5, 6, 7, outcome="info", at=5))
        assert self.verdict(*refused, done(5, 6, 7, at=6), policy(9, 4, 2), bound=0) == "holds"

    def test_an_effect_that_is_gone_again_is_backlog(self):
        gone = (submitted(1, 2, 3, at=3), done(1, 2, 3, at=4), *(effect(job, 0, at=5) for job in (1, 2, 3)))
        assert self.verdict(*gone, policy(9, 4, 2)) == "violated"
        again = [effect(job, 1, at=6) for job in (1, 2, 3)]
        assert self.verdict(*gone, *again, policy(9, 4, 2)) == "holds"

    def test_an_effect_that_is_told_before_its_submit(self):
        early = (effect(1, at=3), submitted(1, at=4), effect(1, 2, at=5))
        assert self.verdict(*early, policy(9, 4, 2), bound=0) == "holds"

    def test_no_group(self):
        without = found("backlog_growth_at_scale_in", ended(submitted(1)), backlog_growth_at_scale_in=0)
        assert without.verdict.value == "unknown"


def says(instance: str, revision: str, at: float = 3) -> list[Event]:
    return [Revision(t_us=us(at), instance=instance, revision=revision)]


def deployed(revision: str, at: float = 2) -> list[Event]:
    return [Deployed(t_us=us(at), revision=revision)]


class TestOnRevision:
    GROUP = (numbers(0.5, 2, 2), state("a", "InService", at=1), state("b", "InService", at=1))

    def finding(self, *parts: list[Event]) -> Finding:
        return found("on_revision", ended(*parts))

    def verdict(self, *parts: list[Event]) -> str:
        return self.finding(*self.GROUP, *parts).verdict.value

    def test_all_have_it(self):
        assert self.verdict(deployed("two"), says("a", "two"), says("b", "two")) == "holds"

    def test_one_is_stale(self):
        stale = self.finding(
            *self.GROUP, says("a", "one", at=1), says("b", "one", at=1), deployed("two"), says("b", "two")
        )
        assert stale.verdict.value == "violated"
        assert stale.reason == "a of 2 in service still had one, not two"

    def test_the_last_deploy_counts(self):
        both = (says("a", "two", at=3), says("b", "two", at=3))
        assert self.verdict(deployed("two"), *both, deployed("three", at=4)) == "violated"
        assert self.verdict(deployed("three"), *both, deployed("two", at=4)) == "holds"

    def test_what_an_instance_said_last_counts(self):
        assert self.verdict(deployed("two"), says("a", "two"), says("b", "two"), says("b", "one", at=9)) == "violated"

    def test_one_that_is_not_in_service_does_not_count(self):
        rest = (deployed("two"), says("a", "two"), says("b", "one"))
        assert self.verdict(*rest, state("b", "Terminating", at=9)) == "holds"
        assert self.verdict(*rest, state("b", "", at=9)) == "holds"
        assert (
            self.verdict(*rest, says("b", "two", at=8), says("c", "one"), state("c", "Pending:Wait", at=9)) == "holds"
        )

    def test_one_that_said_nothing(self):
        assert self.verdict(deployed("two"), says("a", "two")) == "unknown"
        assert self.verdict(deployed("two"), says("a", "one")) == "violated"

    def test_a_refresh_that_goes_on_is_not_over(self):
        """Who is still to be refreshed is no proof of anything; the numbers say that the refresh goes on."""
        stale = [*deployed("two"), *state("a", "InService"), *says("a", "one")]
        assert self.verdict(numbers(4, 1, 1, excused=REFRESHING), stale) == "unknown"
        assert self.verdict(numbers(4, 1, 1, excused=REFRESHING), stale, numbers(5, 1, 1)) == "violated"

    def test_nothing_to_judge(self):
        assert self.verdict(says("a", "one"), says("b", "one")) == "unknown"
        assert self.finding(deployed("two"), says("a", "two")).verdict.value == "unknown"
        assert self.finding(numbers(0.5, 0, 0), deployed("two"), says("a", "two")).verdict.value == "unknown"

    def test_after_the_census_nobody_watches(self):
        history = ended(*self.GROUP, deployed("two"), says("a", "two"), says("b", "two"))
        late = [*history, *says("a", "one", at=206), *state("a", "Terminating", at=206)]
        assert found("on_revision", late).verdict.value == "holds"


class TestConnectionsWithin:
    def verdict(self, *used: int, last_limit: int = 12) -> str:
        told = [[Connections(t_us=us(at), used=count, limit=12)] for at, count in enumerate(used, 1)]
        last = [Connections(t_us=us(100), used=1, limit=last_limit)] if used else []
        return found("connections_under_limit", ended(*told, last)).verdict.value

    def test_verdicts(self):
        assert self.verdict(3, 11, 4) == "holds"
        assert self.verdict(3, 12, 4) == "violated"
        # Superusers alone are there at the end, and may have those that were kept from the application.
        assert self.verdict(3, 12, 4, last_limit=15) == "violated"
        assert self.verdict(3, 9, 4, last_limit=9) == "holds"
        assert self.verdict() == "unknown"
        # Parity's own are there before anybody else's.
        assert self.verdict(1, 1) == "unknown"


def lines(instance: str, printed: int, archived: int, *, missing: int = 0, since: float = 0, same: bool = True):
    return [
        Printed(t_us=us(150), instance=instance, lines=printed, digest="a"),
        Archived(
            t_us=us(150),
            instance=instance,
            lines=archived,
            digest="a" if same else "b",
            missing=missing,
            missing_since_us=us(since),
        ),
    ]


class TestLogsArchived:
    def finding(self, *parts: list[Event], within: float = 2) -> Finding:
        return found("logs_archived", ended(living("a", "b"), *parts), logs_archived=within)

    def test_every_line(self):
        said = self.finding(exited("a", at=10), lines("a", 7, 7))
        assert (said.verdict.value, said.reason) == (
            "holds",
            "7 of 7 lines of 1 instances that ended are in the archive",
        )

    def test_lines_of_the_last_moments_may_be_missing(self):
        said = self.finding(exited("a", at=10), lines("a", 7, 5, missing=2, since=8.5))
        assert said.verdict.value == "holds"
        assert "the other 2 were printed in the last 2 s" in said.reason

    def test_earlier_ones_may_not(self):
        said = self.finding(exited("a", at=10), lines("a", 7, 5, missing=2, since=7.5))
        reason = "a: 2 of 7 lines are missing, the first from 2.5 s before its end"
        assert (said.verdict.value, said.reason) == ("violated", reason)

    def test_with_no_moment_allowed_for_not_one_may_be_missing(self):
        assert self.finding(exited("a", at=10), lines("a", 7, 6, missing=1, since=9.9), within=0).verdict == "violated"

    def test_lines_that_it_did_not_print(self):
        assert self.finding(exited("a", at=10), lines("a", 7, 8, same=False)).verdict.value == "violated"

    def test_one_is_enough(self):
        parts = [exited("a", at=10), lines("a", 7, 7), exited("b", at=10), lines("b", 7, 0, missing=7, since=1)]
        assert self.finding(*parts).verdict.value == "violated"

    def test_nobody_looked_into_the_archive(self):
        assert self.finding(exited("a", at=10)).verdict.value == "unknown"
        assert self.finding(exited("a", at=10), exited("b", at=11), lines("a", 7, 7)).verdict.value == "unknown"

    def test_nobody_ended(self):
        assert self.finding().verdict.value == "unknown"

    def test_nothing_was_printed(self):
        assert self.finding(exited("a", at=10), lines("a", 0, 0)).verdict.value == "unknown"
