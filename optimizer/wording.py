"""The sentences for reasons: the only place where a reason becomes English.

Nothing that is stored or compared depends on a sentence, so each may be reworded freely.

A template is a format string over the values of its code. A value that is a reason, or a list of
reasons or texts, is put into words first. Beside Python's format specifications there are two:
`{cause:?: }` gives nothing where the value is null, and else what follows the question mark, then
the value; `{until:clock}` gives the time of day of an ISO 8601 time.
"""

from collections.abc import Mapping
from datetime import datetime
from string import Formatter
from typing import Any, Final

from typing_extensions import TypedDict

from selfheal.db.reasons import Code, Reason
from selfheal.optimizer.state import Result, ShownResult

_UNKNOWN: Final = "unknown"  # a figure that there is too little data for

WORDING: dict[Code, str] = {
    "note": "{text}",
    "run_failed": "{outcome}: {message}",
    "already_shortened": "version {version} of the {agent} prompt was shortened, or is the result"
    " of shortening: each version can be shortened once",
    "canary_running": "version {version} of the {agent} prompt is a canary on {percent} % of the"
    " threads",
    "cooling_down": "the last healing ended without a release; the next one starts no earlier than"
    " {until:clock} UTC",
    "daily_budget_exhausted": "the day's {calls} model calls are used up",
    "failures_as_usual": "{failures} of {runs} runs failed, no more than usual (p = {p:.2g})",
    "few_failures": "{failures} failed runs within {minutes} minutes",
    "few_new_failures": "only {failures} new failures since the last healing",
    "healing_open": "another healing is in progress",
    "not_the_prompt": "{errors} runs failed because of the model, the judge or the sandbox,"
    " {failures} because of their quality{newest:?; the newest: }",
    "operator_pause": "healing is paused: {cause} ({actor})",
    "single_sentence": "version {version} of the {agent} prompt is a single sentence",
    "diagnosed_agent_cleared": "the {agent}, named by the diagnosis, was cleared",
    "diagnosis_uncontested": "the diagnosis says so, and nothing contradicts it",
    "judge_marks_decided": "the judge agrees on too few golden verdicts, and its marks decided"
    " these runs",
    "last_good_version_passes": "with its last good version {passed} of {of} training cases pass",
    "plans_contradict_requests": "{plans} of {of} plans contradict their requests, and the worker"
    " followed them",
    "breaks_prompt_rules": "{violations}",
    "contains_address": "it contains an address",
    "contains_encoded_text": "it contains encoded text",
    "contains_secret": "it contains what looks like a secret",
    "copies_untrusted_text": "it copies {words} words in a row from the logs",
    "drops_requirement": "it no longer says: {requirement}",
    "empty_prompt": "it is empty",
    "foreign_letters": "it uses alphabets that the prompt never used: {alphabets}",
    "invisible_characters": "it contains invisible characters",
    "same_as_earlier_candidate": "it has the same words as an earlier candidate",
    "same_as_incumbent": "it has the same words as the incumbent",
    "too_many_characters": "it has {characters} characters, more than {limit}",
    "too_many_words": "it has {words} words, more than {limit}",
    "untrusted_words": "it consists of words that few runs have: {words}",
    "cases_lost": "lost {lost} of {of} cases",
    "incumbent_passes_too_few": "the live prompt passes only {passed} of {of} cases",
    "nothing_left": "no sentence would be left",
    "nothing_lost": "lost none of {of} cases, score {change:+.2f}",
    "scores_lower": "scores lower by {by:.2f}",
    "screening_lost": "passed {passed} of {of} training cases",
    "additions_doubted": "the failures do not call for: {additions}",
    "edits_need_approval": "its edits have to be approved: {causes}",
    "edits_untested": "the failing cases cannot tell which of its {edits} edits are needed",
    "long_addition": "an addition has {words} words that cannot be tested apart (at most {limit})",
    "no_edit_called_for": "the failing cases call for none of its edits",
    "reduced": "reduced to candidate {candidate}: {removed} added phrases that no case needs were"
    " removed, {restored} dropped sentences restored",
    "budget_exhausted": "the budget of model calls is used up",
    "cannot_prove_at_this_rate": "at the observed rate of gains, the {left} remaining held-out"
    " cases cannot prove it",
    "cannot_prove_with_cases_left": "gains in all {left} remaining held-out cases could not"
    " prove it",
    "cases_exhausted": "there are no more cases",
    "enough_pairs": "there are enough pairs",
    "harm_found": "more cases are lost than chance explains",
    "hold_out_exhausted": "all held-out cases were tried",
    "proven_but_cases_exhausted": "proven, but there are no more cases",
    "proven_over_enough_pairs": "proven, over enough pairs",
    "better_but_unproven": "better, but not proven: {gains} gains, {losses} losses"
    " (e = {e_value:.3g} of {needed})",
    "budget_exhausted_before_end": "{decision}; the budget of model calls is used up",
    "healed_case_lost": "{case_id}, healed before, is lost in 2 of {takes}",
    "incumbent_rate_too_low": "the live prompt passes only {rate:.0%} of the cases: losses could"
    " not be detected",
    "may_score_lower": "better on held-out cases ({gains} gains, {losses} losses), but may score"
    " lower by {by:.2f}",
    "not_inferior": "{gains} gains, {losses} losses, score not lower by more than {by:.2f}",
    "not_shown_better": "not shown to be better: {gains} gains, {losses} losses"
    " (e = {e_value:.3g} of {needed})",
    "proven": "{gains} gains, {losses} losses (e = {e_value:.3g}), score not lower by more than"
    " {by:.2f}",
    "sentences_needed": "the sentences are needed: {gains} gains, {losses} losses",
    "shorter_may_score_lower": "{gains} gains, {losses} losses, and may score lower by {by:.2f}",
    "too_few_pairs": "better ({gains} gains, {losses} losses), but only {pairs} of {needed} pairs"
    " have verdicts",
    "too_few_pairs_to_compare": "only {pairs} of {needed} pairs have verdicts",
    "canary_first": "proven; released as a canary, since the incumbent passes {rate:.0%}",
    "evidence_insufficient": "the evidence does not suffice; approval is needed",
    "incumbent_hardly_passes": "released to all threads: the incumbent passes hardly any case",
    "instant_rollout": "released to all threads",
    "manual_rollout": "proven; approval is needed, since SELFHEAL_ROLLOUT is manual",
    "checkpoints_missing": "its checkpoints do not show where to resume",
    "internal_error": "an internal error, {error}; see the log",
    "judge_drifted": "the judge has drifted: the judge {model} agrees on {agreed} of {asked} golden"
    " verdicts, {usually_agreed} of {usually_asked} before (evaluator prompt {prompt_version})",
    "judge_unreliable": "the judge is not reliable: the judge {model} agrees on {agreed} of {asked}"
    " golden verdicts (evaluator prompt {prompt_version})",
    "lease_lost": "another process has taken over this healing",
    "many_trials_without_verdict": "{decision}; {trials} of {of} trials gave no verdict, the first:"
    " {first}",
    "model_failed": "the optimizer's model failed: {message}",
    "no_candidate_passed_edits": "no candidate passed the test of its edits",
    "no_candidate_passed_lint": "no candidate passed lint",
    "no_candidate_passed_screening": "no candidate passed screening",
    "no_candidates": "no candidate was found",
    "no_sentence_removable": "no sentence can be removed: of {sentences} sentences {kept} are"
    " always kept and {missed} are needed",
    "no_sentences_removable_together": "no sentences can be removed: of {sentences} sentences"
    " {kept} are always kept, {missed} are needed, and the others are needed together",
    "proof_void": "the proof is void: {cause}",
    "staged": "{plan}: {gate}",
    "version_went_live": "another version went live meanwhile{version:?: }",
    "canary_not_worse_in_a_day": "{runs} runs, score difference {mean:+.2f} (at least"
    " {lower:+.2f}); not worse within a day",
    "canary_scores": "{runs} runs, score difference {mean:+.2f} (at least {lower:+.2f})",
    "canary_undecided": "undecided after a day: {runs} runs, score difference {mean:+.2f}"
    " (at least {lower:+.2f})",
    "more_errors": "{errors} of {runs} runs ended without a verdict, {before} before",
    "pinned_but_worse": "it is pinned, but {cause}",
    "releases_rolled_back": "{releases} releases were rolled back automatically within {hours}"
    " hours",
    "slower": "it is slower: 95 % of its runs take at most {seconds:.1f} s, {before:.1f} s before",
    "watched": "it is being watched",
    "worse_scores": "its scores are lower by {by:.2f} (at least {at_least:.2f})",
    "approved": "approved{cause:?: }",
    "promoted": "promoted{cause:?: }",
    "rejected": "rejected",
    "replaced_during_canary": "version {version} was released while this one was a"
    " canary{cause:?: }",
    "rolled_back": "rolled back{cause:?: }",
}


class Worded(TypedDict):
    """A reason as it is shown: as text, and as the code and figures that the text was made of."""

    reason: str
    coded_reason: Reason | None


class _Sentences(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("?"):
            return "" if value is None else format_spec[1:] + self.format_field(value, "")
        if format_spec == "clock":
            return f"{datetime.fromisoformat(value):%H:%M}"
        if isinstance(value, Mapping):
            return sentence(value)  # type: ignore[arg-type]
        if isinstance(value, list):
            reasons = any(isinstance(each, Mapping) for each in value)
            return ("; " if reasons else ", ").join(self.format_field(each, "") for each in value)
        return _UNKNOWN if value is None else format(value, format_spec)


_SENTENCES: Final = _Sentences()


def sentence(reason: Reason | None) -> str:
    """Return a reason in English: no capital letter, no full stop; empty where there is none.

    A reason that a later version has stored, whose code this one does not know, is given as the
    code and its values.
    """
    if reason is None:
        return ""
    template = WORDING.get(reason["code"])
    if template is None:
        return f"{reason['code']} {reason['values']}"
    return _SENTENCES.vformat(template, (), reason["values"])


def worded(reason: Reason | None) -> Worded:
    """Return a reason as answers and JSON output show it."""
    return Worded(reason=sentence(reason), coded_reason=reason)


def shown_result(result: Result) -> ShownResult:
    """Return the result of an optimizer pass as clients get it."""
    return {**result, **worded(result.get("reason"))}
