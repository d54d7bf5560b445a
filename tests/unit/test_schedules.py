"""When a schedule comes next."""

from datetime import UTC, datetime

import pytest

from selfheal.server.cron_schedule import ScheduleError, next_date

SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the night before the clocks change in Berlin


@pytest.mark.parametrize(
    ("schedule", "timezone", "then"),
    [
        ("*/5 * * * *", None, "2026-03-28T12:05:00+00:00"),
        ("@daily", None, "2026-03-29T00:00:00+00:00"),
        ("0 9 * * mon-fri", None, "2026-03-30T09:00:00+00:00"),
        ("0 9 * * *", "America/New_York", "2026-03-28T09:00:00-04:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T03:00:00+02:00"),  # there is no 2:30 that day
        ("30 3 * * *", "Europe/Berlin", "2026-03-29T03:30:00+02:00"),
        ("0 0 29 2 *", None, "2028-02-29T00:00:00+00:00"),
    ],
)
def test_the_next_date(schedule: str, timezone: str | None, then: str) -> None:
    assert next_date(schedule, timezone, SPRING).isoformat() == then


@pytest.mark.parametrize(
    ("schedule", "timezone"),
    [
        ("", None),
        ("soon", None),
        ("60 * * * *", None),
        ("* * * * * */5", None),
        ("0 0 1 1 * 0 2030", None),
        ("@reboot", None),
        ("R R * * *", None),
        ("H H * * *", None),
        ("r(1-5) * * * *", None),
        ("0 0 31 2 *", None),
        ("1-5/0 * * * *", None),
        ("* * * * *", "Berlin"),
        ("* * * * *", "Europe"),
        ("* * * * *", "../etc/passwd"),
        ("* * * * *", "/etc/localtime"),
        ("* * * * *", "a\0b"),
    ],
)
def test_what_is_no_schedule_is_said_so(schedule: str, timezone: str | None) -> None:
    with pytest.raises(ScheduleError, match=r"^a (schedule|timezone) is "):
        next_date(schedule, timezone, SPRING)
