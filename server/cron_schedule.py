"""Schedules as crontab writes them: `minute hour day-of-month month day-of-week`, or `@daily`."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

_RANDOM: Final = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)
_FORM: Final = "a schedule is 'minute hour day month weekday', such as '*/5 * * * *', or '@daily'"


class ScheduleError(ValueError):
    """Nothing ever comes by this schedule, or nobody can say when."""


def zone(name: str | None) -> tzinfo:
    """Return a timezone by its name; UTC if there is none.

    Raises:
        ScheduleError: there is no such timezone.
    """
    try:
        return UTC if name is None else ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones
        raise ScheduleError("a timezone is a name such as 'Europe/Berlin'") from None


def next_date(schedule: str, timezone: str | None, after: datetime) -> datetime:
    """Return when a schedule comes next, in its timezone (UTC if there is none).

    A time that a change of clocks leaves out comes when the clocks have changed; one that comes
    twice comes twice.

    Raises:
        ScheduleError: it is no schedule, comes never, or there is no such timezone.
    """
    fields = schedule.split()
    if len(fields) not in (1, 5) or _RANDOM.search(schedule):
        raise ScheduleError(_FORM)
    try:
        found: datetime = croniter(schedule, after.astimezone(zone(timezone))).get_next(datetime)
    except (CroniterError, ValueError, OverflowError) as error:
        raise ScheduleError(f"{_FORM}: {error}") from None
    return found
