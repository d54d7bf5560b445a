"""Reasons: why something was decided, as a code with its figures. Nothing here is a sentence.

Reasons are stored, compared and verified; the sentence is made when one is shown
(optimizer/wording.py), so that it can be reworded without touching what is stored.
"""

from collections.abc import Mapping
from types import UnionType
from typing import Final, Literal, TypeAlias, Union

from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

Code = Literal[
    "additions_doubted",
    "already_shortened",
    "answers_ignore_plans",
    "answers_unusable",
    "approved",
    "better_but_not_healed",
    "better_but_unproven",
    "breaks_prompt_rules",
    "budget_exhausted",
    "budget_exhausted_before_end",
    "canary_first",
    "canary_more_tokens",
    "canary_not_worse_in_a_day",
    "canary_running",
    "canary_scores",
    "canary_slower",
    "canary_undecided",
    "cannot_prove_at_this_rate",
    "cannot_prove_with_cases_left",
    "cannot_show_not_inferior",
    "cases_exhausted",
    "cases_lost",
    "checkpoints_missing",
    "collecting_cases",
    "collecting_more_cases",
    "contains_address",
    "contains_encoded_text",
    "contains_secret",
    "cooling_down",
    "copies_untrusted_text",
    "daily_budget_exhausted",
    "diagnosed_agent_cleared",
    "diagnosis_uncontested",
    "drops_requirement",
    "edits_need_approval",
    "edits_untested",
    "empty_prompt",
    "enough_pairs",
    "evidence_insufficient",
    "fails_since_change",
    "fails_since_release",
    "failures_not_unusual",
    "failures_surged",
    "few_failures",
    "few_new_failures",
    "foreign_letters",
    "harm_found",
    "healed_case_lost",
    "healing_open",
    "hold_out_exhausted",
    "incumbent_hardly_passes",
    "incumbent_passes_too_few",
    "incumbent_passes_training",
    "incumbent_rate_too_low",
    "instant_rollout",
    "internal_error",
    "invisible_characters",
    "judge_drifted",
    "judge_recovered",
    "judge_unreliable",
    "kept_candidate_failed",
    "last_good_version_passes",
    "lease_lost",
    "long_addition",
    "manual_rollout",
    "many_trials_without_verdict",
    "may_score_lower",
    "model_failed",
    "more_cases_unaffordable",
    "more_errors",
    "no_candidate_passed_edits",
    "no_candidate_passed_lint",
    "no_candidate_passed_screening",
    "no_candidates",
    "no_edit_called_for",
    "no_run_passed",
    "no_sentence_removable",
    "no_sentences_removable_together",
    "not_inferior",
    "not_shown_better",
    "not_the_prompt",
    "note",
    "nothing_left",
    "nothing_lost",
    "operator_pause",
    "pinned_but_worse",
    "plans_contradict_requests",
    "promoted",
    "proof_void",
    "proven",
    "proven_and_not_inferior",
    "reduced",
    "rejected",
    "releases_rolled_back",
    "replaced_during_canary",
    "rolled_back",
    "run_failed",
    "same_as_earlier_candidate",
    "same_as_incumbent",
    "scores_lower",
    "screening_lost",
    "screening_outranked",
    "screening_without_verdict",
    "sentences_needed",
    "shorter_may_score_lower",
    "single_sentence",
    "slices_lost",
    "staged",
    "too_few_pairs",
    "too_few_pairs_to_compare",
    "too_many_characters",
    "too_many_words",
    "untrusted_words",
    "unusable_answers",
    "uses_more_tokens",
    "version_went_live",
    "watched",
    "worse_scores",
]

# A reason may hold others, and `|` cannot name what is defined further down.
Value: TypeAlias = Union[int, float, str, list[str], "Reason", list["Reason"], None]


class Reason(TypedDict):
    """Why something was decided, as plain JSON: a code, and the values that VALUES lists for it.

    A value is a number, a text that was not written by the product (a model's error, an operator's
    note, a word that was found), a list of such texts, or another reason or several.
    """

    code: Code
    values: dict[str, Value]


_Kind: TypeAlias = type | UnionType
_NUMBER: Final = int | float
_REASON: Final = dict
_OPTIONAL: Final = dict | None
_LIST: Final = list

_SCORES: Final[Mapping[str, _Kind]] = {
    "runs": int,  # of the canary
    "mean": _NUMBER,  # difference of mean scores, new less old, -1 to 1
    "lower": _NUMBER | None,  # its lower bound; null where there are too few runs for one
}
_EVIDENCE: Final[Mapping[str, _Kind]] = {
    "failures": int,
    "runs": int,
    "e_value": _NUMBER,
    "needed": int,  # the e-value that opens a healing
    "usual_rate": _NUMBER,  # the failure rate that it is against, 0 to 1
}
_COUNTED: Final[Mapping[str, _Kind]] = {"gains": int, "losses": int}
_JUDGE: Final[Mapping[str, _Kind]] = {
    "model": str,
    "agreed": int,
    "asked": int,
    "prompt_version": int,
}

VALUES: Final[Mapping[Code, Mapping[str, _Kind]]] = {
    # What was written by others, kept as it was.
    "note": {"text": str},
    "run_failed": {"outcome": str, "message": str},
    # Why no healing is opened.
    "already_shortened": {"agent": str, "version": int},
    "canary_running": {"agent": str, "version": int, "percent": int},
    "cooling_down": {"until": str},  # ISO 8601, UTC
    "daily_budget_exhausted": {"calls": int},
    "failures_not_unusual": _EVIDENCE,
    "few_failures": {"failures": int, "needed": int},
    "few_new_failures": {"failures": int},
    "healing_open": {},
    "not_the_prompt": {"errors": int, "failures": int, "newest": _OPTIONAL},
    "operator_pause": {"cause": _REASON, "actor": str},
    "single_sentence": {"agent": str, "version": int},
    # Why a healing is opened.
    "fails_since_change": _EVIDENCE,
    "fails_since_release": _EVIDENCE,
    "failures_surged": _EVIDENCE,
    "no_run_passed": {"runs": int},
    # Which prompt is the cause.
    "answers_ignore_plans": {"answers": int, "of": int},
    "answers_unusable": {"agent": str, "answers": int, "of": int},
    "diagnosed_agent_cleared": {"agent": str},
    "diagnosis_uncontested": {},
    "last_good_version_passes": {"passed": int, "of": int},
    "plans_contradict_requests": {"plans": int, "omitting": int, "of": int},
    # What lint rejects.
    "breaks_prompt_rules": {"violations": _LIST},  # of reasons
    "contains_address": {},
    "contains_encoded_text": {},
    "contains_secret": {},
    "copies_untrusted_text": {"words": int},
    "drops_requirement": {"requirement": str},
    "empty_prompt": {},
    "foreign_letters": {"alphabets": _LIST},
    "invisible_characters": {},
    "same_as_earlier_candidate": {},
    "same_as_incumbent": {},
    "too_many_characters": {"characters": int, "limit": int},
    "too_many_words": {"words": int, "limit": int},
    "untrusted_words": {"words": _LIST},
    # What becomes of a sentence that is left out.
    "cases_lost": {"lost": int, "of": int},
    "incumbent_passes_too_few": {"passed": int, "of": int},
    "nothing_left": {},
    "nothing_lost": {"of": int, "change": _NUMBER},
    "scores_lower": {"by": _NUMBER},
    # Screening.
    "screening_lost": {"passed": int, "of": int},
    "screening_outranked": {"passed": int, "of": int, "candidate": int},
    "screening_without_verdict": {},
    # The test of a candidate's edits.
    "additions_doubted": {"additions": _LIST},
    "edits_need_approval": {"causes": _LIST},  # of reasons
    "edits_untested": {"edits": int},
    "long_addition": {"words": int, "limit": int},
    "no_edit_called_for": {},
    "reduced": {"candidate": int, "removed": int, "restored": int},
    # Where the gate stopped.
    "budget_exhausted": {},
    "cannot_prove_at_this_rate": {"left": int},
    "cannot_prove_with_cases_left": {"left": int},
    "cannot_show_not_inferior": {"left": int},
    "cases_exhausted": {},
    "enough_pairs": {},
    "harm_found": {},
    "hold_out_exhausted": {},
    "more_cases_unaffordable": {"affordable": int},
    "proven_and_not_inferior": {},
    # The gate's verdict.
    "better_but_unproven": {**_COUNTED, "e_value": _NUMBER, "needed": int},
    "budget_exhausted_before_end": {"decision": _REASON},
    "healed_case_lost": {"case_id": str, "takes": int},
    "incumbent_rate_too_low": {"rate": _NUMBER},
    "may_score_lower": {**_COUNTED, "w_value": _NUMBER, "needed": int},
    "not_inferior": {**_COUNTED, "by": _NUMBER},
    "not_shown_better": {**_COUNTED, "e_value": _NUMBER, "needed": int},
    "proven": {**_COUNTED, "e_value": _NUMBER, "w_value": _NUMBER},
    "sentences_needed": _COUNTED,
    "shorter_may_score_lower": {**_COUNTED, "by": _NUMBER},
    "slices_lost": {"slices": _LIST},
    "too_few_pairs": {**_COUNTED, "pairs": int, "needed": int},
    "too_few_pairs_to_compare": {"pairs": int, "needed": int},
    "uses_more_tokens": {"ratio": _NUMBER, "limit": _NUMBER},
    # What is done with a candidate that was not rejected.
    "better_but_not_healed": {"plan": _REASON, "rate": _NUMBER, "expected": _NUMBER},
    "canary_first": {"rate": _NUMBER},
    "evidence_insufficient": {},
    "incumbent_hardly_passes": {},
    "instant_rollout": {},
    "manual_rollout": {},
    # Whether a candidate is kept until there are cases to prove it on.
    "collecting_cases": {
        **_COUNTED,
        "passed": int,
        "of": int,
        "incumbent_passed": int,
        "incumbent_of": int,
    },
    "collecting_more_cases": {**_COUNTED, "of": int},
    "incumbent_passes_training": {"passed": int, "of": int},
    "kept_candidate_failed": {**_COUNTED, "of": int},
    # How a healing ends otherwise.
    "checkpoints_missing": {},
    "internal_error": {"error": str},
    "judge_drifted": {**_JUDGE, "usually_agreed": int, "usually_asked": int},
    "judge_recovered": {"agreed": int, "asked": int},
    "judge_unreliable": _JUDGE,
    "lease_lost": {},
    "many_trials_without_verdict": {"decision": _REASON, "trials": int, "of": int, "first": str},
    "model_failed": {"message": str},
    "no_candidate_passed_edits": {},
    "no_candidate_passed_lint": {},
    "no_candidate_passed_screening": {},
    "no_candidates": {},
    "no_sentence_removable": {"sentences": int, "kept": int, "missed": int},
    "no_sentences_removable_together": {"sentences": int, "kept": int, "missed": int},
    "proof_void": {"cause": _REASON},
    "staged": {"plan": _REASON, "gate": _REASON},
    "version_went_live": {"version": int | None},
    # What becomes of a release.
    "canary_more_tokens": {"tokens": _NUMBER, "before": _NUMBER, "at_most": _NUMBER},
    "canary_not_worse_in_a_day": _SCORES,
    "canary_scores": _SCORES,
    "canary_slower": {"seconds": _NUMBER, "before": _NUMBER, "at_most": _NUMBER},
    "canary_undecided": _SCORES,
    "more_errors": {"errors": int, "runs": int, "before": int},
    "pinned_but_worse": {"cause": _REASON},
    "releases_rolled_back": {"releases": int, "hours": int},
    "unusable_answers": {
        "unusable": int,
        "answers": int,
        "unusable_before": int,
        "answers_before": int,
        "e_value": _NUMBER,
    },
    "watched": {},
    "worse_scores": {"by": _NUMBER, "at_least": _NUMBER},
    # What follows after a healing was closed.
    "approved": {"cause": _OPTIONAL},
    "promoted": {"cause": _OPTIONAL},
    "rejected": {},
    "replaced_during_canary": {"version": int, "cause": _OPTIONAL},
    "rolled_back": {"cause": _OPTIONAL},
}


def because(code: Code, **values: Value) -> Reason:
    """Return a reason.

    Args:
        code: what was decided.
        values: exactly those that VALUES lists for the code.

    Raises:
        ValueError: a value is missing, is not one of the code's, or is of another type.
    """
    kinds = VALUES[code]
    wrong = {
        name
        for name in kinds.keys() | values.keys()
        if name not in kinds or name not in values or not isinstance(values[name], kinds[name])
    }
    if wrong:
        raise ValueError(f"reason {code}: missing, unknown or mistyped: {', '.join(sorted(wrong))}")
    return Reason(code=code, values=values)


def noted(text: str) -> Reason | None:
    """Return what an operator wrote as a reason; None if nothing was written."""
    return because("note", text=text) if text else None
