"""What is counted while work is done; `docs/metrics.md` is made from this.

No label names a run, a thread, a person or a version: series must not grow with use. Every series
is there from the start, because a rate over a series that is not there yet is no rate.
"""

from itertools import product
from typing import Final, Literal

from prometheus_client import Counter, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a series began, which nobody asks: as many series again

Caller = Literal["manager", "worker", "evaluator", "optimizer"]
CallOutcome = Literal[
    "ok", "output", "limited", "retired", "denied", "refused", "timeout", "away", "error"
]

CALLERS: Final[tuple[Caller, ...]] = ("manager", "worker", "evaluator", "optimizer")
CALL_OUTCOMES: Final[tuple[CallOutcome, ...]] = (
    *("ok", "output", "limited", "retired", "denied"),
    *("refused", "timeout", "away", "error"),
)
_RUNS: Final = (
    ("success", "ok"),
    ("success", "failed"),
    *(("error", each) for each in ("output", "request", "model", "evaluation", "infrastructure")),
    ("timeout", "infrastructure"),
    ("interrupted", "none"),
)
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
_TENTHS: Final = tuple(tenth / 10 for tenth in range(1, 11))

RUNS: Final = Counter(
    "selfheal_runs_total",
    "Runs of the agent that ended. `outcome` says what was wrong: `ok` and `failed` have a"
    " verdict, the others none.",
    ("status", "outcome"),
)
RUN_SECONDS: Final = Histogram(
    "selfheal_run_duration_seconds",
    "How long runs were executed, in the process that ended them.",
    buckets=_SECONDS,
)
RUNS_RECOVERED: Final = Counter(
    "selfheal_runs_recovered_total",
    "Runs that were gone on with after another process had begun them and died or was stopped.",
)
NODE_SECONDS: Final = Histogram(
    "selfheal_node_duration_seconds",
    "How long each node of a run took.",
    ("node",),
    buckets=_SECONDS,
)
EVALUATION_SCORE: Final = Histogram(
    "selfheal_evaluation_score",
    "Scores of runs, 0 to 1: of the rules, of the judge, and both together.",
    ("kind",),
    buckets=_TENTHS,
)
EVALUATIONS: Final = Counter("selfheal_evaluations_total", "Verdicts on runs.", ("passed",))
MODEL_CALLS: Final = Counter(
    "selfheal_model_calls_total",
    "Calls of a model, each try for itself, by who called; trials of a healing count as the agent's"
    " that they try. `output`: the answer was empty, cut off, blocked or unreadable.",
    ("agent", "outcome"),
)
MODEL_TOKENS: Final = Counter(
    "selfheal_model_tokens_total", "Tokens of model calls.", ("agent", "direction")
)
MODEL_FALLBACKS: Final = Counter(
    "selfheal_model_fallbacks_total", "Answers that came from a model to fall back to."
)
SANDBOX_RUNS: Final = Counter(
    "selfheal_sandbox_runs_total",
    "Programs that were run, by how they ended; `unavailable` is the sandbox's own failure.",
    ("backend", "outcome"),
)


def sandbox_ready(backend: str) -> None:
    """Make the series of a sandbox, once it is known which one is used."""
    for outcome in ("ok", "error", "timeout", "memory", "output", "killed", "unavailable"):
        SANDBOX_RUNS.labels(backend, outcome)


for _status, _outcome in _RUNS:
    RUNS.labels(_status, _outcome)
for _node in ("manager", "worker", "evaluator"):
    NODE_SECONDS.labels(_node)
for _kind in ("total", "rule", "llm"):
    EVALUATION_SCORE.labels(_kind)
for _passed in ("true", "false"):
    EVALUATIONS.labels(_passed)
for _caller, _outcome in product(CALLERS, CALL_OUTCOMES):
    MODEL_CALLS.labels(_caller, _outcome)
for _caller, _direction in product(CALLERS, ("input", "output")):
    MODEL_TOKENS.labels(_caller, _direction)
