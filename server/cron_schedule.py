"""Cron schedules: `minute hour day-of-month month day-of-week`, or `@daily`."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

_RANDOM: Final = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)
_FORM: Final = "a schedule is 'minute hour day month weekday', such as '*/5 * * * *', or '@daily'"


class ScheduleError(ValueError):
    """The schedule or the timezone is not valid, or no date matches."""


def zone(name: str | None) -> tzinfo:
    """Return a timezone by its name; UTC for None.

    Raises:
        ScheduleError: there is no such timezone.
    """
    try:
        return UTC if name is None else ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones
        raise ScheduleError("a timezone is a name such as 'Europe/Berlin'") from None


def next_date(schedule: str, timezone: str | None, after: datetime) -> datetime:
    """Return the first date of a schedule after a moment.

    A time that a change of clocks skips is moved to just after the change; one that occurs twice
    is returned twice.

    Args:
        schedule: five fields, or one such as `@daily`.
        timezone: a name such as `Europe/Berlin`; None for UTC.
        after: a moment with an offset.

    Raises:
        ScheduleError: the schedule or the timezone is not valid, or no date matches.
    """
    fields = schedule.split()
    if len(fields) not in (1, 5) or _RANDOM.search(schedule):
        raise ScheduleError(_FORM)
    try:
        found: datetime = croniter(schedule, after.astimezone(zone(timezone))).get_next(datetime)
    except (CroniterError, ValueError, OverflowError) as error:
        raise ScheduleError(f"{_FORM}: {error}") from None
    return found


def next_run_at(
    schedule: str, timezone: str | None, after: datetime, end_time: datetime | None
) -> datetime | None:
    """Return the next date of a cron after a moment, None if that is after its `end_time`.

    Raises:
        ScheduleError: see `next_date`.
    """
    found = next_date(schedule, timezone, after)
    return None if end_time and found > end_time else found
