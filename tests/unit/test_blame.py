"""Whom the evidence blames: a test outweighs a diagnosis, and a diagnosis needs no test."""

import pytest

from selfheal.db.reasons import because
from selfheal.db.types import Agent
from selfheal.optimizer.policy.attribution import decide, next_test, suspects, with_reverted
from selfheal.optimizer.state import AttributionEvidence, Count

AGENTS: tuple[Agent, ...] = ("manager", "worker", "evaluator")


def seen(
    diagnosed: Agent,
    *,
    judge_low: bool = False,
    judged: Count = (0, 0),
    plans: Count = (0, 0),
    revertible: tuple[Agent, ...] = (),
    rejected: tuple[Agent, ...] = (),
) -> AttributionEvidence:
    return AttributionEvidence(
        diagnosed=diagnosed,
        judge_low=judge_low,
        judged=judged,
        plans=plans,
        revertible=list(revertible),
        reverted={},
        rejected=list(rejected),
    )


@pytest.mark.parametrize("agent", ["manager", "worker"])
def test_without_any_test_the_diagnosis_decides(agent: Agent) -> None:
    evidence = seen(agent, judged=(2, 5), plans=(0, 5))
    assert next_test(evidence) is None
    assert decide(evidence).agent == agent


def test_a_sound_judge_clears_the_evaluator() -> None:
    decided = decide(seen("evaluator", judged=(5, 5)))
    assert decided.agent == "worker"
    assert decided.reason == because("diagnosed_agent_cleared", agent="evaluator")


@pytest.mark.parametrize("diagnosed", AGENTS)
def test_an_unsound_judge_whose_marks_decided_is_to_blame(diagnosed: Agent) -> None:
    evidence = seen(diagnosed, judge_low=True, judged=(4, 5), plans=(0, 5))
    assert decide(evidence).agent == "evaluator"


def test_an_unsound_judge_is_not_to_blame_for_what_facts_forbade() -> None:
    evidence = seen("worker", judge_low=True, judged=(1, 5))
    assert decide(evidence).agent == "worker"


def test_where_nothing_failed_an_unsound_judge_is_to_blame() -> None:
    assert decide(seen("worker", judge_low=True)).agent == "evaluator"


@pytest.mark.parametrize(("off", "blamed"), [(0, "worker"), (2, "worker"), (3, "manager")])
def test_plans_at_odds_with_the_request_are_the_managers_fault(off: int, blamed: Agent) -> None:
    assert decide(seen("worker", plans=(off, 5))).agent == blamed


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


def test_an_unsound_judge_needs_no_other_test_where_it_is_suspected() -> None:
    evidence = seen("evaluator", judge_low=True, judged=(3, 3), revertible=("worker",))
    assert next_test(evidence) is None


def test_whom_it_did_not_help_to_heal_is_suspected_last() -> None:
    evidence = seen("evaluator", judge_low=True, judged=(5, 5), plans=(5, 5))
    assert suspects(evidence)[0] == "evaluator"
    assert decide(evidence).agent == "evaluator"
    again = seen(
        "evaluator",
        judge_low=True,
        judged=(5, 5),
        plans=(5, 5),
        rejected=("evaluator",),
    )
    assert decide(again).agent == "manager"


@pytest.mark.parametrize("agent", AGENTS)
def test_some_agent_is_always_blamed(agent: Agent) -> None:
    nothing = seen(agent, revertible=("manager", "worker"))
    tried = with_reverted(with_reverted(nothing, "worker", (0, 0)), "manager", (0, 0))
    assert decide(tried).agent in AGENTS
    assert decide(tried).reason
