"""Whom the evidence blames: a test outweighs a diagnosis, and a diagnosis needs no test."""

import pytest

from selfheal.db.types import Agent
from selfheal.optimizer.policy.attribution import Evidence, decide, next_test, suspects

AGENTS: tuple[Agent, ...] = ("manager", "worker", "evaluator")


@pytest.mark.parametrize("agent", ["manager", "worker"])
def test_without_any_test_the_diagnosis_decides(agent: Agent) -> None:
    evidence = Evidence(diagnosed=agent, judged=(2, 5), plans=(0, 5))
    assert next_test(evidence) is None
    assert decide(evidence).agent == agent


def test_a_sound_judge_clears_the_evaluator() -> None:
    decided = decide(Evidence(diagnosed="evaluator", judged=(5, 5)))
    assert decided.agent == "worker"
    assert "cleared" in decided.reason


@pytest.mark.parametrize("diagnosed", AGENTS)
def test_an_unsound_judge_whose_marks_decided_is_to_blame(diagnosed: Agent) -> None:
    evidence = Evidence(diagnosed=diagnosed, judge_low=True, judged=(4, 5), plans=(0, 5))
    assert decide(evidence).agent == "evaluator"


def test_an_unsound_judge_is_not_to_blame_for_what_facts_forbade() -> None:
    evidence = Evidence(diagnosed="worker", judge_low=True, judged=(1, 5))
    assert decide(evidence).agent == "worker"


def test_where_nothing_failed_an_unsound_judge_is_to_blame() -> None:
    assert decide(Evidence(diagnosed="worker", judge_low=True)).agent == "evaluator"


@pytest.mark.parametrize(("off", "blamed"), [(0, "worker"), (2, "worker"), (3, "manager")])
def test_plans_at_odds_with_the_request_are_the_managers_fault(off: int, blamed: Agent) -> None:
    assert decide(Evidence(diagnosed="worker", plans=(off, 5))).agent == blamed


def test_the_suspects_last_good_version_is_tried_first() -> None:
    evidence = Evidence(diagnosed="manager", revertible=("manager", "worker"))
    assert next_test(evidence) == "manager"
    helped = evidence.having("manager", (4, 4))
    assert next_test(helped) is None  # nothing could help more
    assert decide(helped).agent == "manager"


def test_what_does_not_help_leads_to_the_next_suspect() -> None:
    evidence = Evidence(diagnosed="worker", revertible=("manager", "worker"))
    tried = evidence.having("worker", (1, 4))
    assert next_test(tried) == "manager"
    tried = tried.having("manager", (4, 4))
    assert next_test(tried) is None
    decided = decide(tried)
    assert decided.agent == "manager"
    assert "4 of 4" in decided.reason


@pytest.mark.parametrize("diagnosed", ["manager", "worker"])
def test_where_both_help_alike_the_diagnosis_decides(diagnosed: Agent) -> None:
    both: Evidence = Evidence(diagnosed=diagnosed, revertible=("manager", "worker"))
    both = both.having("worker", (3, 4)).having("manager", (3, 4))
    assert decide(both).agent == diagnosed


def test_a_good_version_that_does_not_help_clears_its_agent() -> None:
    evidence = Evidence(diagnosed="worker", revertible=("worker",)).having("worker", (0, 4))
    assert decide(evidence).agent == "manager"


def test_an_unsound_judge_needs_no_other_test_where_it_is_suspected() -> None:
    evidence = Evidence(
        diagnosed="evaluator", judge_low=True, judged=(3, 3), revertible=("worker",)
    )
    assert next_test(evidence) is None


def test_whom_it_did_not_help_to_heal_is_suspected_last() -> None:
    evidence = Evidence(diagnosed="evaluator", judge_low=True, judged=(5, 5), plans=(5, 5))
    assert suspects(evidence)[0] == "evaluator"
    assert decide(evidence).agent == "evaluator"
    again = Evidence(
        diagnosed="evaluator",
        judge_low=True,
        judged=(5, 5),
        plans=(5, 5),
        rejected=("evaluator",),
    )
    assert decide(again).agent == "manager"


@pytest.mark.parametrize("agent", AGENTS)
def test_some_agent_is_always_blamed(agent: Agent) -> None:
    nothing = Evidence(diagnosed=agent, revertible=("manager", "worker"))
    tried = nothing.having("worker", (0, 0)).having("manager", (0, 0))
    assert decide(tried).agent in AGENTS
    assert decide(tried).reason
