"""Dashboard of the agents' health."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.layout import assemble
from grafana.panels import (
    Panel,
    areas,
    coloured,
    lines,
    link,
    override,
    rows,
    stairs,
    stat,
    thresholds,
)
from grafana.promql import mean, of_deployment, quantile, rate, share
from grafana.queries import Sql, load, prom

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


def overview() -> Dashboard:
    """Return the dashboard Overview."""
    about = "Health of the agents, and their live prompts. Purple lines are releases of prompts."
    panels = [*_tiles(), *_traffic(), *_quality(), *_speed(), _failed()]
    return assemble("overview", "Overview", about, panels)


def _tiles() -> list[Panel]:
    errors = share(rate("runs_total", _ERRORS), rate("runs_total"))
    limits = thresholds("green", (0.1, "orange"), (0.3, "red"))
    p95 = quantile(0.95, "run_duration_seconds")
    return [
        stat(
            "Runs a second",
            "Runs that ended, with any outcome.",
            prom(rate("runs_total")),
            unit="suffix: /s",
            decimals=2,
        ),
        stat(
            "Error rate",
            "Share of runs that ended without a usable answer or a verdict: infrastructure, model, "
            "evaluation, output. Programs of poor quality count in the pass rate, refused requests "
            "in neither.",
            prom(errors),
            unit="percentunit",
            decimals=1,
            steps=limits,
        ),
        stat(
            "Passed",
            "Share of verdicts that passed: score at the threshold or above, no veto check failed.",
            prom(_PASSED),
            unit="percentunit",
            decimals=1,
            steps=_QUALITY,
        ),
        stat(
            "Mean score",
            "Mean of the evaluation's total score. An alert fires below 0.6 for 5 minutes.",
            prom(mean("evaluation_score", 'kind="total"')),
            decimals=2,
            steps=_QUALITY,
        ),
        stat(
            "Run, 95th percentile",
            "From acceptance to the recorded result: 95 of 100 runs took no longer.",
            prom(p95),
            unit="s",
            decimals=1,
        ),
        stat(
            "Live prompts",
            "The version that each agent uses; during a canary, the newer one.",
            prom(of_deployment("prompt_active_version", by="agent"), "{{agent}}", instant=True),
            decimals=0,
            named=True,
        ),
    ]


def _traffic() -> list[Panel]:
    errors = share(
        rate("runs_total", 'outcome!~"none|ok"', by="outcome"), rate("runs_total"), "all"
    )
    return [
        lines(
            "Runs a second, by outcome",
            "`failed`: the program did not pass. `output`: no usable answer. The others are not "
            "caused by prompts. `none`: interrupted.",
            prom(rate("runs_total", by="outcome"), "{{outcome}}"),
            unit="suffix: /s",
            style=areas,
            overrides=_CLASSES,
        ),
        lines(
            "Share of runs without a passing result, by outcome",
            "Only `failed` and `output` can lead to a new prompt.",
            prom(errors, "{{outcome}}"),
            unit="percentunit",
            overrides=_CLASSES,
            top=1,
        ),
    ]


def _quality() -> list[Panel]:
    kinds = mean("evaluation_score", by="kind")
    return [
        lines(
            "Evaluation score, mean",
            "`total` is 0.4 `rule` (checks) + 0.6 `llm` (the judge), capped if a veto check fails. "
            "If `llm` differs from the others, the judge sees more than the checks, or drifted.",
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


def _speed() -> list[Panel]:
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
            prom(of_deployment("prompt_active_version", by="agent"), "{{agent}}"),
            style=stairs,
            calcs=("lastNotNull",),
        ),
    ]


def _failed() -> Panel:
    links = [
        link("Run log", "${console}/runs/${__value.raw}"),
        link("Trace in LangSmith", "${langsmith}/r/${__value.raw}"),
    ]
    return rows(
        "Latest runs without a passing result",
        "The newest 20. A run's id links to the run log and to its trace.",
        Sql(load("overview")["latest"]),
        [
            override("Run", links=links, custom__width=310),
            override("Took", unit="s", decimals=1),
            *(override(name, decimals=2) for name in ("Score", "Rules", "Judge")),
        ],
    )
