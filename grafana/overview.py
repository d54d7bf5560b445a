"""Whether the agents are well, at first sight."""

from typing import Final

from grafana.board import board
from grafana.model import Json, coloured, link, override, prom, sql, thresholds
from grafana.panels import AREAS, STAIRS, lines, stat, table
from grafana.promql import mean, quantile, rate, share, told
from grafana.queries import load

_ERRORS: Final = 'outcome!~"none|ok|failed|request"'
_QUALITY: Final = thresholds("red", (0.6, "orange"), (0.8, "green"))
_CLASSES: Final = coloured(
    "ok", "failed", "output", "infrastructure", "model", "evaluation", "request"
)
_KINDS: Final = [
    override("total", custom__lineWidth=4, color={"mode": "fixed", "fixedColor": "blue"}),
    override("rule", color={"mode": "fixed", "fixedColor": "green"}),
    override("llm", color={"mode": "fixed", "fixedColor": "purple"}),
]
_PASSED: Final = share(rate("evaluations_total", 'passed="true"'), rate("evaluations_total"))


def overview() -> Json:
    """Return the dashboard Overview."""
    about = "Are the agents well, and which prompts are live? Purple lines are releases of prompts."
    panels = [*_tiles(), *_traffic(), *_quality(), *_speed(), _failed()]
    return board("overview", "Overview", about, panels)


def _tiles() -> list[Json]:
    errors = share(rate("runs_total", _ERRORS), rate("runs_total"))
    limits = thresholds("green", (0.1, "orange"), (0.3, "red"))
    p95 = quantile(0.95, "run_duration_seconds")
    return [
        stat(
            "Runs a second",
            "Runs that ended, whatever their outcome.",
            prom(rate("runs_total")),
            unit="suffix: /s",
            decimals=2,
        ),
        stat(
            "Error rate",
            "Share of runs that ended without a usable answer or a verdict: infrastructure, model, "
            "evaluation, output. Programs of poor quality are in the pass rate, refused requests "
            "in neither.",
            prom(errors),
            unit="percentunit",
            decimals=1,
            steps=limits,
        ),
        stat(
            "Passed",
            "Share of verdicts that passed: score at the threshold or above, no fact against it.",
            prom(_PASSED),
            unit="percentunit",
            decimals=1,
            steps=_QUALITY,
        ),
        stat(
            "Mean score",
            "Mean of the evaluation's total score. Below 0.6 for 5 minutes there is an alert.",
            prom(mean("evaluation_score", 'kind="total"')),
            decimals=2,
            steps=_QUALITY,
        ),
        stat(
            "Run, 95th percentile",
            "95 of 100 runs took no longer, from being taken in to the recorded result.",
            prom(p95),
            unit="s",
            decimals=1,
        ),
        stat(
            "Live prompts",
            "The version that each agent runs under; during a canary, the newer one.",
            prom(told("prompt_active_version", by="agent"), "{{agent}}", instant=True),
            decimals=0,
        ),
    ]


def _traffic() -> list[Json]:
    errors = share(
        rate("runs_total", 'outcome!~"none|ok"', by="outcome"), rate("runs_total"), "all"
    )
    return [
        lines(
            "Runs a second, by outcome",
            "How runs ended. `failed`: the program did not pass. `output`: no usable answer. The "
            "others are no prompt's fault. `none`: interrupted.",
            prom(rate("runs_total", by="outcome"), "{{outcome}}"),
            unit="suffix: /s",
            style=AREAS,
            overrides=_CLASSES,
        ),
        lines(
            "Share of runs that did not end well, by outcome",
            "Only `failed` and `output` can ever call for a new prompt.",
            prom(errors, "{{outcome}}"),
            unit="percentunit",
            overrides=_CLASSES,
            top=1,
        ),
    ]


def _quality() -> list[Json]:
    kinds = mean("evaluation_score", by="kind")
    return [
        lines(
            "Evaluation score, mean",
            "`total` is 0.4 `rule` (facts) + 0.6 `llm` (the judge), capped where a fact vetoes. "
            "`total` and `rule` apart from `llm`: the judge sees more than facts, or drifted.",
            prom(kinds, "{{kind}}"),
            steps=thresholds("red", (0.6, "green")),
            overrides=_KINDS,
            top=1,
            calcs=("lastNotNull", "mean", "min"),
        ),
        lines(
            "Pass rate",
            "Share of verdicts that passed, with the releases as lines: did one of them change it?",
            prom(_PASSED, "passed"),
            unit="percentunit",
            steps=_QUALITY,
            overrides=coloured("ok"),
            top=1,
            calcs=("lastNotNull", "mean", "min"),
        ),
    ]


def _speed() -> list[Json]:
    node = "node_duration_seconds"
    return [
        lines(
            "Latency by node",
            "Median and 95th percentile of each node of the agent graph: nearly all of it is the "
            "model's time.",
            prom(quantile(0.5, node, by="node"), "{{node}} p50"),
            prom(quantile(0.95, node, by="node"), "{{node}} p95"),
            unit="s",
        ),
        lines(
            "Live prompt versions",
            "A step up is a release, a step down a roll-back.",
            prom(told("prompt_active_version", by="agent"), "{{agent}}"),
            style=STAIRS,
            calcs=("lastNotNull",),
        ),
    ]


def _failed() -> Json:
    links = [
        link("What the run log says", "${console}/runs/${__value.raw}"),
        link("Its trace in LangSmith", "${langsmith}/r/${__value.raw}"),
    ]
    return table(
        "Latest runs that did not end well",
        "The newest 20. A click on a run's id leads to the run log or to its trace.",
        sql(load("overview")["latest"]),
        [
            override("Run", links=links, custom__width=310),
            override("Took", unit="s", decimals=1),
            *(override(name, decimals=2) for name in ("Score", "Rules", "Judge")),
        ],
    )
