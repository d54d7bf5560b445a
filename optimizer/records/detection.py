"""Why a healing is opened, or is not."""

from typing import Literal

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from selfheal.db.reasons import Reason
from selfheal.db.types import Agent
from selfheal.optimizer.records.cases import Count

DetectionRule = Literal["no_pass", "release", "change", "surge", "none"]


class PassRecord(TypedDict):
    """How many runs of a version have a verdict, and how many of these passed."""

    agent: Agent
    version: int
    runs: int
    passed: int


class Detection(TypedDict):
    """What detection read, and why it opens a healing or does not.

    `rule`: `no_pass` where no run passed; `release` and `change` where runs fail more often than
    usual since the release, or since some later run; `surge` where much more fails than before the
    last healing, which released nothing; `none` where there is no more than usual (a healing may
    be forced). `outcomes`: of the runs that were read, oldest first, `1` passed and `0` failed;
    `runs` and `failures` count them. `recent`: how many failed within the failure window.
    `threshold`: the least number of failures. `usual`: the record of the last good version; null
    without one. `before`: how many of the runs that the last healing looked at failed, of how
    many; null unless the runs since that healing are compared with it. `usual_rate`: the failure
    rate that the e-value is against. `window`: the newest runs, from where the failures began.
    """

    rule: DetectionRule
    outcomes: str
    runs: int
    failures: int
    recent: int
    threshold: int
    usual: PassRecord | None
    before: Count | None
    usual_rate: float
    e_value: float
    window: int
    reason: Reason


class NewestError(TypedDict):
    """The newest run without a verdict for a reason that no prompt can fix."""

    run_id: str
    outcome: str
    message: str
