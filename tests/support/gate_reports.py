"""Reports of gates, as decisions after a gate read them."""

from selfheal.db.reasons import because
from selfheal.optimizer.records.candidates import GateReport, PairResult, TokenUse, Verdict
from selfheal.optimizer.statistics import ACCEPT_AT


def gate_report(
    passed: int,
    of: int = 30,
    *,
    verdict: Verdict = "accepted",
    incumbent_rate: float = 0.0,
    ordinal: int = 1,
    budget_spent: bool = False,
) -> GateReport:
    """Return the report of a gate in which a candidate passed so many cases."""
    results = [
        PairResult(
            case_id=str(place),
            hold_out=True,
            incumbent_passed=False,
            candidate_passed=place < passed,
            repeats=[],
            e_value=1.0,
        )
        for place in range(of)
    ]
    return GateReport(
        ordinal=ordinal,
        budget_spent=budget_spent,
        verdict=verdict,
        reason=because("enough_pairs"),
        pairs=of,
        gains=passed,
        losses=0,
        e_value=1.0,
        difference=0.0,
        lower=None,
        needed=ACCEPT_AT,
        w_value=1.0,
        detectable=None,
        most_cases=of,
        affordable=None,
        slices=[],
        usual_tokens=None,
        tokens=TokenUse(ratio=None, compared=0, against=None),
        incumbent_rate=incumbent_rate,
        candidate_rate=round(passed / of, 4),
        width=4,
        cases_run=of,
        stopped=because("enough_pairs"),
        pair_results=results,
    )
