"""Whom the evidence blames: a test outweighs a diagnosis, and a diagnosis needs no test."""

import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Agent
from selfheal.optimizer.policy.attribution import (
    LEAST_TRIALS,
    MOST_CASES,
    decide,
    next_test,
    suspects,
    takes,
    with_reverted,
)
from selfheal.optimizer.records.diagnosis import AttributionEvidence, FailureCause

AGENTS: tuple[Agent, ...] = ("manager", "worker", "evaluator")


def seen(
    diagnosed: Agent,
    causes: dict[FailureCause, int] | None = None,
    *,
    revertible: tuple[Agent, ...] = (),
    replaceable: tuple[Agent, ...] = (),
    rejected: tuple[Agent, ...] = (),
) -> AttributionEvidence:
    return AttributionEvidence(
        diagnosed=diagnosed,
        causes=causes or {},
        revertible=list(revertible),
        replaceable=list(replaceable),
        reverted={},
        rejected=list(rejected),
    )


@pytest.mark.parametrize("agent", ["manager", "worker"])
def test_without_any_test_the_diagnosis_decides(agent: Agent) -> None:
    evidence = seen(agent, {"unclear": 5})
    assert next_test(evidence) is None
    assert decide(evidence).agent == agent
    assert decide(evidence).reason == because("diagnosis_uncontested")


def test_the_evaluator_was_cleared_by_the_check_of_the_judge() -> None:
    decided = decide(seen("evaluator", {"unclear": 5}))
    assert decided.agent == "worker"
    assert decided.reason == because("diagnosed_agent_cleared", agent="evaluator")


@pytest.mark.parametrize(("off", "blamed"), [(0, "worker"), (2, "worker"), (3, "manager")])
def test_plans_at_odds_with_the_request_are_the_managers_fault(off: int, blamed: Agent) -> None:
    assert decide(seen("worker", {"plan_contradicts": off, "unclear": 5 - off})).agent == blamed


def test_all_failures_count_not_those_that_the_diagnosis_saw() -> None:
    """One training run seemed to show it, and 9 others do not."""
    assert decide(seen("worker", {"plan_contradicts": 1, "plan_ignored": 9})).agent == "worker"
    assert decide(seen("worker", {"plan_contradicts": 9, "plan_ignored": 1})).agent == "manager"


def test_plans_that_lack_what_was_stated_count_with_those_that_contradict_it() -> None:
    decided = decide(seen("worker", {"plan_contradicts": 1, "plan_omits": 2, "unclear": 2}))
    expected = because("plans_contradict_requests", plans=1, omitting=2, of=5)
    assert (decided.agent, decided.reason) == ("manager", expected)


@pytest.mark.parametrize("diagnosed", AGENTS)
def test_answers_without_code_clear_the_manager(diagnosed: Agent) -> None:
    evidence = seen(
        diagnosed,
        {"answer_unusable": 3, "plan_contradicts": 2, "unclear": 1},
        revertible=("manager", "worker"),
    )
    assert next_test(evidence) is None  # no trial could change it
    decided = decide(evidence)
    expected = because("answers_unusable", agent="worker", answers=3, of=6)
    assert (decided.agent, decided.reason) == ("worker", expected)


@pytest.mark.parametrize("diagnosed", AGENTS)
def test_plans_that_could_not_be_used_clear_the_worker(diagnosed: Agent) -> None:
    assert decide(seen(diagnosed, {"plan_unusable": 4, "plan_ignored": 3})).agent == "manager"


def test_a_worker_that_ignores_sound_plans_is_the_cause() -> None:
    decided = decide(seen("manager", {"plan_ignored": 3, "unclear": 2}))
    assert decided.agent == "worker"
    assert decided.reason == because("answers_ignore_plans", answers=3, of=5)


def test_the_suspects_last_good_version_is_tried_first() -> None:
    evidence = seen("manager", revertible=("manager", "worker"))
    assert next_test(evidence) == "manager"
    helped = with_reverted(evidence, "manager", (4, 4))
    assert next_test(helped) is None  # nothing could help more
    assert decide(helped).agent == "manager"


def test_what_does_not_help_leads_to_the_next_suspect() -> None:
    evidence = seen("worker", revertible=("manager", "worker"))
    tried = with_reverted(evidence, "worker", (1, 4))
    assert next_test(tried) == "manager"
    tried = with_reverted(tried, "manager", (4, 4))
    assert next_test(tried) is None
    decided = decide(tried)
    assert decided.agent == "manager"
    assert decided.reason == because("last_good_version_passes", passed=4, of=4)


@pytest.mark.parametrize("diagnosed", ["manager", "worker"])
def test_where_both_help_alike_the_diagnosis_decides(diagnosed: Agent) -> None:
    both = seen(diagnosed, revertible=("manager", "worker"))
    both = with_reverted(with_reverted(both, "worker", (3, 4)), "manager", (3, 4))
    assert decide(both).agent == diagnosed


def test_a_good_version_that_does_not_help_clears_its_agent() -> None:
    evidence = with_reverted(seen("worker", revertible=("worker",)), "worker", (0, 4))
    assert decide(evidence).agent == "manager"
    counted = seen("worker", {"plan_contradicts": 5}, revertible=("manager",))
    assert decide(with_reverted(counted, "manager", (0, 4))).agent == "worker"


def test_an_earlier_version_that_may_be_broken_too_clears_nothing() -> None:
    evidence = seen("manager", {"unclear": 5}, replaceable=("worker", "manager"))
    assert next_test(evidence) == "manager"
    tried = with_reverted(evidence, "manager", (0, 4))
    assert next_test(tried) == "worker"
    assert decide(with_reverted(tried, "worker", (0, 4))).agent == "manager"
    assert decide(with_reverted(tried, "worker", (3, 4))).agent == "worker"


def test_it_is_tried_only_where_rules_do_not_decide() -> None:
    evidence = seen("worker", {"plan_contradicts": 5}, replaceable=("worker", "manager"))
    assert next_test(evidence) is None


@pytest.mark.parametrize("cases", [1, 2, 3, 4])
def test_with_few_cases_each_is_tried_more_often(cases: int) -> None:
    assert LEAST_TRIALS <= cases * takes(cases) <= LEAST_TRIALS + MOST_CASES - 1
    assert takes(0) == 0


def test_whom_it_did_not_help_to_heal_is_suspected_last() -> None:
    evidence = seen("manager")
    assert suspects(evidence) == ["manager", "worker"]
    assert suspects(seen("manager", rejected=("manager",))) == ["worker", "manager"]


@pytest.mark.parametrize("agent", AGENTS)
def test_some_agent_is_always_blamed(agent: Agent) -> None:
    nothing = seen(agent, revertible=("manager", "worker"))
    tried = with_reverted(with_reverted(nothing, "worker", (0, 0)), "manager", (0, 0))
    assert decide(tried).agent in ("manager", "worker")
    assert decide(tried).reason
