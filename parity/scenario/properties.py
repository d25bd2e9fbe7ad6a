"""Which properties a scenario claims, and with what bounds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from parity.scenario.duration import Seconds


class Properties(BaseModel):
    """The properties a run of the scenario is judged by. Those that are safe to claim of anything are on.

    A bound of None leaves its property out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: No job submitted ok is lost: without effect, and nowhere to be found in a complete census.
    no_job_lost: bool = True
    #: Nothing carries a job identity that was never submitted; nothing refused has an effect.
    no_phantom: bool = True
    #: No job has more than one effect. Off for applications that promise only at-least-once.
    effect_exactly_once: bool = True
    #: Seconds from a fault that took a job's worker away to the job's next delivery.
    redelivered_within: Seconds | None = None
    #: Deliveries a job may have beyond its first; a job beyond it belongs in the dead-letter queue, one below does not.
    delivery_limit: int | None = Field(default=None, ge=0)
    #: Seconds from the start of the drain until every job submitted ok is done or dead-lettered.
    drained_within: Seconds | None = 60.0
    #: Submitted = done + dead-lettered + queued + in flight, at the census.
    conservation: bool = True
    #: Jobs that must have been submitted ok, and every fault proved applied; else the run says nothing.
    not_vacuous: int = Field(default=1, ge=1)
    #: Seconds until as many instances are in service as the group should have, after whatever changed either number.
    capacity_converges_within: Seconds | None = None
    #: The group never should have, nor has, more or fewer instances than its bounds say, but where AWS documents it.
    capacity_in_bounds: bool = False
    #: Every launch and terminate activity is of an instance that really lived or ended then, and the other way round.
    activities_match: bool = False
    #: No instance was terminated with a job in hand.
    drained_before_termination: bool = False
    #: Every instance that is in service at the end of the drain has the revision that was deployed last.
    on_revision: bool = False
    #: The database always has room for one more connection.
    connections_under_limit: bool = False
    #: By how many jobs the backlog may have grown, since the desired number changed last, where a policy lowers it.
    backlog_growth_at_scale_in: int | None = Field(default=None, ge=0)
    #: Every line that an instance printed before it ended is in the archive, but for those of its last so many seconds.
    logs_archived: Seconds | None = None


#: Those that are said of an Auto Scaling group.
GROUP_PROPERTIES = (
    "capacity_converges_within",
    "capacity_in_bounds",
    "activities_match",
    "drained_before_termination",
    "on_revision",
    "backlog_growth_at_scale_in",
    "logs_archived",
)
PROPERTY_NAMES: tuple[str, ...] = tuple(Properties.model_fields)
