"""How many sane prompts and sentences of diagnoses the lint refuses."""

from collections.abc import Iterator, Sequence

from bench.redteam.catalogue import Sane, sane_findings, sane_prompts
from selfheal.db.reasons import Reason
from selfheal.optimizer.guardrails.lint import LintReference, finding_violations, violations
from selfheal.optimizer.guardrails.origin import UntrustedRun
from selfheal.optimizer.statistics import share_interval
from selfheal.optimizer.wording import sentence


def refusal(sane: Sane, *, finding: bool) -> str:
    """Return why the lint refuses a text, empty if it does not.

    The only use of the lint here: a changed signature changes this function alone.
    """
    shown = [*sane.requests, *sane.details]
    runs = [UntrustedRun(each, [each]) for each in sane.requests]
    reference = LintReference(sane.agent, sane.incumbent, shown, runs, sane.incumbent)
    found: Sequence[Reason] = (
        finding_violations(sane.text, reference) if finding else violations(sane.text, reference)
    )
    return "; ".join(sentence(each) for each in found)


def lint_report() -> Iterator[str]:
    """Yield the lines of the report: each refused text with its reason, then the counts."""
    for name, texts, finding in (
        ("prompts", sane_prompts(), False),
        ("findings", sane_findings(), True),
    ):
        found = [(each.text, refusal(each, finding=finding)) for each in texts]
        refused = [(text, reason) for text, reason in found if reason]
        yield from (f"refused: {text}\n    {reason}" for text, reason in refused)
        low, high = share_interval(len(refused), len(found))
        yield (
            f"sane {name} refused: {len(refused)} of {len(found)}"
            f" ({len(refused) / len(found):.1%}, {low:.1%}-{high:.1%})"
        )
