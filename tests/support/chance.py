"""Tests of what a gate decides, which is a statistic: such a test has three tries, each one shown.

Only a failed assertion is tried again, with fixtures made anew; an error, a timeout or a hang is
a failure at once. Rates are not proved here: `bench/healing.py` measures them.
"""

from collections.abc import Mapping

import pytest
from _pytest.runner import runtestprotocol

TRIES = 3
MARK = "by_chance: decided by a statistic, so an assertion may fail twice before it counts"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", MARK)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test of chance until it passes, three times at most."""
    if not item.get_closest_marker("by_chance"):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in reversed(range(TRIES)):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        again = bool(left) and any(map(_unlucky, reports))
        for report in reports:
            if again and report.failed:
                report.outcome = "again"  # type: ignore[assignment]
            item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            break
        item._initrequest()  # type: ignore[attr-defined] # its fixtures are made anew
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _unlucky(report: pytest.TestReport) -> bool:
    return report.when == "call" and _reason(report).startswith(("assert", "Assert"))


def _reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).split("\n", 1)[0] if crash else ""


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show a try that failed as what it is."""
    return ("again", "A", "AGAIN") if str(report.outcome) == "again" else None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Name what was tried again, and why."""
    again: Mapping[str, list[pytest.TestReport]] = terminalreporter.stats
    for report in again.get("again", []):
        terminalreporter.write_line(f"AGAIN {report.nodeid} - {_reason(report)}")
