"""Guards: what a better candidate may cost, beside the incumbent."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from selfheal.optimizer.policy.superiority import Pair
from selfheal.optimizer.records.candidates import TokenUse, UsualTokens

TOKEN_LIMIT: Final = 1.5  # the highest ratio of tokens that is released automatically
FEWEST_PAIRS: Final = 8
LEAST_RATE: Final = 0.8  # of the pairs that an incumbent passes whose tokens compare


def token_use(pairs: Sequence[Pair], usual: UsualTokens | None) -> TokenUse:
    """Compare the tokens of the prompt's own model call.

    Over the pairs that both sides passed, the geometric mean of their ratios. An incumbent that is
    broken does not compare, since too little may be what is wrong with its answers: what the
    candidate passed is then compared with the runs that passed under the last good version.

    Args:
        pairs: of a gate.
        usual: the tokens of those runs; None if they are unknown.
    """
    both = [
        math.log(pair.candidate_tokens / pair.incumbent_tokens)
        for pair in pairs
        if pair.incumbent_passed and pair.candidate_passed
        if pair.candidate_tokens and pair.incumbent_tokens
    ]
    sound = sum(pair.incumbent_passed for pair in pairs) >= LEAST_RATE * len(pairs)
    if sound and len(both) >= FEWEST_PAIRS:
        return _use(both, "incumbent")
    if usual is None or usual["runs"] < FEWEST_PAIRS:
        return TokenUse(ratio=None, compared=len(both), against=None)
    alone = [
        math.log(pair.candidate_tokens / usual["tokens"])
        for pair in pairs
        if pair.candidate_passed and pair.candidate_tokens
    ]
    if len(alone) >= FEWEST_PAIRS:
        return _use(alone, "last_good")
    return TokenUse(ratio=None, compared=len(alone), against=None)


def too_many_tokens(use: TokenUse) -> bool:
    """Tell whether a candidate uses more tokens than are released automatically."""
    return use["ratio"] is not None and use["ratio"] > TOKEN_LIMIT


def _use(logarithms: Sequence[float], against: Literal["incumbent", "last_good"]) -> TokenUse:
    ratio = math.exp(math.fsum(logarithms) / len(logarithms))
    return TokenUse(ratio=round(ratio, 4), compared=len(logarithms), against=against)
