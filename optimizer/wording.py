"""The sentences for reasons: the only place where a reason becomes English.

Nothing that is stored or compared depends on a sentence, so each may be reworded freely.

A template is a format string over the values of its code. A value that is a reason, or a list of
reasons or texts, is put into words first. Beside Python's format specifications there are two:
`{cause:?: }` gives nothing where the value is null, and else what follows the question mark, then
the value; `{until:moment}` gives an ISO 8601 time to the second.
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
    "cooling_down": "the last healing ended without a release; unless failures surge, the next one"
    " starts no earlier than {until:moment} UTC",
    "daily_budget_exhausted": "the day's {calls} model calls are used up",
    "failures_not_unusual": "{failures} of {runs} runs failed, no more than usual"
    " (e = {e_value:.3g} of {needed}, against a failure rate of {usual_rate:.0%})",
    "few_failures": "{failures} runs failed, fewer than the {needed} that healing needs",
    "few_new_failures": "only {failures} new failures since the last healing",
    "fails_since_change": "{failures} of the newest {runs} runs failed, more than usual"
    " (e = {e_value:.3g}, {needed} needed, against a failure rate of {usual_rate:.0%})",
    "fails_since_release": "{failures} of the {runs} runs since the release failed, more than"
    " usual (e = {e_value:.3g}, {needed} needed, against a failure rate of {usual_rate:.0%})",
    "failures_surged": "{failures} of the newest {runs} runs failed, many more than before the last"
    " healing (e = {e_value:.3g}, {needed} needed, against a failure rate of {usual_rate:.0%})",
    "no_run_passed": "none of the {runs} runs since the release passed",
    "healing_open": "another healing is in progress",
    "not_the_prompt": "{errors} runs failed because of the model, the judge or the sandbox,"
    " {failures} because of their quality{newest:?; the newest: }",
    "operator_pause": "healing is paused: {cause} ({actor})",
    "single_sentence": "version {version} of the {agent} prompt is a single sentence",
    "diagnosed_agent_cleared": "the {agent}, named by the diagnosis, was cleared",
    "diagnosis_uncontested": "the diagnosis says so, and nothing contradicts it",
    "answers_ignore_plans": "{answers} of {of} failed answers define something else than their"
    " plans, which fit the requests",
    "answers_unusable": "{answers} of {of} failures are answers of the {agent} that could not be"
    " used",
    "last_good_version_passes": "with its earlier version {passed} of {of} trials of training cases"
    " pass",
    "plans_contradict_requests": "of {of} failures, {plans} have a plan that contradicts the"
    " request and {omitting} one that lacks what it states, and the worker followed it",
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
    "screening_lost": "passed {passed} of {of} trials on training cases",
    "screening_outranked": "passed {passed} of {of} trials on training cases; candidate {candidate}"
    " did better",
    "screening_without_verdict": "no trial on a training case gave a verdict",
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
    "cannot_show_not_inferior": "proven, but the {left} remaining cases cannot show that scores are"
    " not lower",
    "cases_exhausted": "there are no more cases",
    "enough_pairs": "there are enough pairs",
    "harm_found": "more cases are lost than chance explains",
    "hold_out_exhausted": "all held-out cases that it may use were tried",
    "more_cases_unaffordable": "promising, but the budget covers only {affordable} held-out cases",
    "proven_and_not_inferior": "proven, and scores are not lower",
    "better_but_unproven": "better, but not proven: {gains} gains, {losses} losses"
    " (e = {e_value:.3g} of {needed})",
    "budget_exhausted_before_end": "{decision}; the budget of model calls is used up",
    "healed_case_lost": "{case_id}, healed before, is lost in 2 of {takes}",
    "incumbent_rate_too_low": "the live prompt passes only {rate:.0%} of the cases: losses could"
    " not be detected",
    "may_score_lower": "better on held-out cases ({gains} gains, {losses} losses), but not shown to"
    " score no lower (W = {w_value:.3g} of {needed})",
    "not_inferior": "{gains} gains, {losses} losses, score not lower by more than {by:.2f}",
    "not_shown_better": "not shown to be better: {gains} gains, {losses} losses"
    " (e = {e_value:.3g} of {needed})",
    "proven": "{gains} gains, {losses} losses (e = {e_value:.3g}), scores not lower"
    " (W = {w_value:.3g})",
    "sentences_needed": "the sentences are needed: {gains} gains, {losses} losses",
    "shorter_may_score_lower": "{gains} gains, {losses} losses, and may score lower by {by:.2f}",
    "slices_lost": "better on the whole, but worse on cases of the kind {slices}",
    "too_few_pairs": "better ({gains} gains, {losses} losses), but only {pairs} of {needed} pairs"
    " have verdicts",
    "too_few_pairs_to_compare": "only {pairs} of {needed} pairs have verdicts",
    "uses_more_tokens": "better, but it uses {ratio:.2f} times the tokens (limit {limit:g})",
    "better_but_not_healed": "{plan}; better, but not healed: it passes only {rate:.0%} of its"
    " gate's cases, and {expected:.0%} are expected",
    "canary_first": "proven; released as a canary, since the incumbent passes {rate:.0%}",
    "evidence_insufficient": "the gate does not suffice for a release; approval is needed",
    "incumbent_hardly_passes": "released to all threads: the incumbent passes hardly any case",
    "instant_rollout": "released to all threads",
    "manual_rollout": "proven; approval is needed, since SELFHEAL_ROLLOUT is manual",
    "collecting_cases": "the candidate passed {passed} of {of} trials on training cases, the live"
    " prompt {incumbent_passed} of {incumbent_of}; there are too few production cases to prove it"
    " ({gains} gains, {losses} losses): it is kept, and tried on new failures",
    "collecting_more_cases": "the kept candidate has {gains} gains and {losses} losses in {of} new"
    " failures: it is tried on more",
    "incumbent_passes_training": "the live prompt passes {passed} of {of} trials on these training"
    " cases when it is run again",
    "kept_candidate_failed": "the kept candidate did not prove better on new failures: {gains}"
    " gains, {losses} losses in {of}",
    "checkpoints_missing": "its checkpoints do not show where to resume",
    "internal_error": "an internal error, {error}; see the log",
    "judge_drifted": "the judge has drifted: the judge {model} agrees on {agreed} of {asked} golden"
    " verdicts, {usually_agreed} of {usually_asked} before (evaluator prompt {prompt_version})",
    "judge_recovered": "the judge agrees as it did at first, on two days: on {agreed} of {asked}"
    " golden verdicts now",
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
    "canary_more_tokens": "it takes {tokens:.0f} tokens for a run that passes, {before:.0f} before:"
    " more than {at_most:g} times as many",
    "canary_not_worse_in_a_day": "{runs} runs, score difference {mean:+.2f} (at least"
    " {lower:+.2f}); not worse within a day",
    "canary_scores": "{runs} runs, score difference {mean:+.2f} (at least {lower:+.2f})",
    "canary_slower": "95 % of its runs take at most {seconds:.1f} s, {before:.1f} s before:"
    " more than {at_most:g} times as long",
    "canary_undecided": "undecided after a day: {runs} runs, score difference {mean:+.2f}"
    " (at least {lower:+.2f})",
    "more_errors": "{errors} of {runs} runs ended without a verdict, {before} before",
    "pinned_but_worse": "it is pinned, but {cause}",
    "releases_rolled_back": "{releases} releases were rolled back automatically within {hours}"
    " hours",
    "unusable_answers": "{unusable} of {answers} answers could not be used, {unusable_before} of"
    " {answers_before} before (e = {e_value:.3g})",
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
        if format_spec == "moment":
            return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M:%S}"
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
