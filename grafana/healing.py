"""Dashboard of the healings: causes, effects and costs."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardRegexMapOptions,
    RegexMap,
    ValueMappingResult,
)

from grafana.layout import assemble, chosen, typed
from grafana.panels import (
    Panel,
    bars,
    coloured,
    compared,
    lines,
    link,
    override,
    points,
    rows,
    stairs,
    stat,
    thresholds,
    words,
)
from grafana.promql import of_deployment
from grafana.queries import Sql, load, prom

_SQL: Final = load("healing")
_HEALING: Final = [link("The healing and its receipt", "${console}/healings/${__value.raw}")]
# Where there is little room, a word in the place of an id; the link has the id.
_SHOW: Final = [RegexMap(DashboardRegexMapOptions(".+", ValueMappingResult("show")))]
_OUTCOMES: Final = words(
    {
        "open": ("open", "blue"),
        "promoted": ("promoted", "green"),
        "canary": ("canary", "blue"),
        "needs_approval": ("needs approval", "yellow"),
        "rejected": ("rejected", "orange"),
        "collecting": ("collecting cases", "yellow"),
        "frozen": ("frozen", "light-blue"),
        "healthy": ("healthy", "text"),
    }
)
_ALERTING: Final = thresholds("green", (1, "orange"), (2, "red"))


def healing() -> Dashboard:
    """Return the dashboard Healing."""
    about = "Healings, their causes, effects and costs. Purple lines are releases."
    variables = [
        chosen("agent", "Agent", ("worker", "manager", "evaluator")),
        typed("price_input", "USD / M input tokens", "0", "price of a million; 0: no cost shown"),
        typed("price_output", "USD / M output tokens", "0", "price of a million; 0: no cost shown"),
    ]
    panels = [*_tiles(), _healings(), *_effects(), *_versions(), *_costs(), *_times(), _incidents()]
    return assemble("healing", "Healing", about, panels, variables, period="now-7d")


def _tiles() -> list[Panel]:
    on_hold = {
        "0": ("on", "green"),
        "1": ("paused", "orange"),
        "2": ("frozen", "light-blue"),
        "3": ("paused, frozen", "orange"),
    }
    doing = f"{of_deployment('healing_paused')} + 2 * {of_deployment('healing_frozen')}"
    return [
        stat(
            "Healing is",
            "`paused`: by an operator, or after two rollbacks in a day. `frozen`: the judge has "
            "drifted. It ends when it agrees with golden verdicts as before on two days, or when "
            "its flag is lifted (`selfheal golden lift`).",
            prom(doing, instant=True),
            mappings=words(on_hold),
        ),
        stat("Open healing", "There is at most one at a time.", Sql(_SQL["at_work"]), text=True),
        stat(
            "Waiting for approval",
            "Candidates on which the evidence is not decisive: `selfheal healings approve|reject`.",
            Sql(_SQL["waiting"]),
            steps=_ALERTING,
        ),
        stat(
            "Time to heal, median",
            "From the opening of a healing to the release of its prompt.",
            Sql(_SQL["time_to_heal"]),
            unit="s",
            decimals=0,
        ),
        stat(
            "Rollbacks",
            "Releases that were rolled back, automatically or by an operator.",
            Sql(_SQL["rolled_back"]),
            steps=_ALERTING,
        ),
        stat(
            "Cost of healing",
            "Tokens of healings in this period at the prices above; nothing without prices.",
            Sql(_SQL["cost"]),
            unit="currencyUSD",
            decimals=2,
        ),
    ]


def _healings() -> Panel:
    outcome = override("Outcome", mappings=_OUTCOMES, custom__cellOptions={"type": "color-text"})
    return rows(
        "Healings",
        "The newest first; a healing without an outcome is in progress, in the state shown. Gate: "
        "share of cases that the incumbent and the last candidate passed, on the same cases.",
        Sql(_SQL["healings"]),
        [
            outcome,
            override("Healing", links=_HEALING, custom__width=310),
            override("Took", unit="s", decimals=0),
            override("Cost", unit="currencyUSD", decimals=2),
            override("Gate: before", unit="percentunit", decimals=0),
            override("Gate: after", unit="percentunit", decimals=0),
        ],
    )


def _effects() -> list[Panel]:
    return [
        compared(
            "Pass rate before and after each release",
            "At most 200 runs and one day on each side of the release: under the replaced version, "
            "and under the new one. This is no proof, as traffic changes too; the gate is.",
            Sql(_SQL["effects_chart"]),
            x="Release",
        ),
        rows(
            "Score before and after each release",
            "Mean scores of the same runs; an unusable answer counts as 0.",
            Sql(_SQL["effects"]),
            [
                override("Passed: before", unit="percentunit", decimals=0),
                override("Passed: after", unit="percentunit", decimals=0),
                override("Score: before", decimals=2),
                override("Score: after", decimals=2),
                override("Healing", links=_HEALING, mappings=_SHOW),
            ],
            width=12,
        ),
    ]


def _versions() -> list[Panel]:
    return [
        lines(
            "Mean score of each version of $agent",
            "While a canary runs, two versions are evaluated on concurrent runs.",
            Sql(_SQL["scores_by_version"], series=True),
            steps=thresholds("red", (0.6, "green")),
            top=1,
            calcs=("mean", "lastNotNull"),
        ),
        lines(
            "Runs under each version of $agent",
            "The canary's actual share.",
            Sql(_SQL["runs_by_version"], series=True),
            style=bars,
            calcs=("sum",),
        ),
        lines(
            "Canary share",
            "Share of threads that get the newer version; at 0 or 100 no canary is running.",
            prom(of_deployment("prompt_canary_percent", by="agent"), "{{agent}}"),
            unit="percent",
            style=stairs,
            top=100,
            calcs=("lastNotNull",),
        ),
        lines(
            "Releases by action",
            "`take_back`: an automatic rollback. `rollback`: one by an operator.",
            Sql(_SQL["releases"], series=True),
            style=bars,
            overrides=coloured("take_back", "rollback", "canary"),
            calcs=("sum",),
        ),
    ]


def _costs() -> list[Panel]:
    return [
        lines(
            "Model calls of healings, by state",
            "The gate runs both versions and costs most.",
            Sql(_SQL["by_state"], series=True),
            style=bars,
            calcs=("sum",),
        ),
        lines(
            "Tokens of healings",
            "Input and output tokens, of all states.",
            Sql(_SQL["tokens"], series=True),
            style=bars,
            calcs=("sum",),
        ),
    ]


def _times() -> list[Panel]:
    return [
        lines(
            "How long healings took, by outcome",
            "Each point is the end of a healing.",
            Sql(_SQL["times_to_heal"], series=True),
            unit="s",
            style=points,
        )
    ]


def _incidents() -> Panel:
    what = override("What", mappings=_WHAT, custom__cellOptions={"type": "color-text"})
    return rows(
        "Incidents",
        "Healings that started or failed, approvals that are needed, rollbacks, pauses, a drift of "
        "the judge.",
        Sql(_SQL["incidents"]),
        [what, override("Healing", links=_HEALING, mappings=_SHOW)],
        width=12,
    )


# The keys are the view's own words.
_WHAT: Final = words(
    {
        "healing broke off": ("healing failed", "red"),
        "a person must decide": ("needs approval", "yellow"),
        "healing frozen": ("healing frozen", "light-blue"),
        "rolled back by itself": ("automatic rollback", "red"),
        "rolled back by hand": ("manual rollback", "orange"),
        "healing paused": ("healing paused", "orange"),
        "judge drifted": ("judge drifted", "red"),
        "judge trusted again": ("judge trusted again", "green"),
    }
)
