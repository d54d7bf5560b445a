"""What the doctor did, what it was good for, and what it cost."""

from typing import Final

from grafana.board import board, chosen, typed
from grafana.model import Json, coloured, link, override, prom, sql, thresholds, words
from grafana.panels import BARS, STAIRS, compared, lines, points, stat, table
from grafana.promql import told
from grafana.queries import load

_SQL: Final = load("healing")
_HEALING: Final = [link("The healing and its receipt", "${console}/healings/${__value.raw}")]
# Where there is little room, a word in the place of an id; the link has the id.
_SHOW: Final = [{"type": "regex", "options": {"pattern": ".+", "result": {"text": "show"}}}]
_OUTCOMES: Final = words(
    {
        "open": ("open", "blue"),
        "promoted": ("promoted", "green"),
        "canary": ("canary", "blue"),
        "needs_approval": ("a person must decide", "yellow"),
        "rejected": ("rejected", "orange"),
        "frozen": ("frozen", "light-blue"),
        "healthy": ("healthy", "text"),
    }
)
_ALERTING: Final = thresholds("green", (1, "orange"), (2, "red"))


def healing() -> Json:
    """Return the dashboard Healing."""
    about = "What went wrong, what was tried, what came of it. Purple lines are releases."
    variables = [
        chosen("agent", "Agent", ("worker", "manager", "evaluator")),
        typed("price_input", "USD / M input tokens", "0", "price of a million; 0: no cost shown"),
        typed("price_output", "USD / M output tokens", "0", "price of a million; 0: no cost shown"),
    ]
    panels = [*_tiles(), _healings(), *_effects(), *_versions(), *_costs(), *_times(), _incidents()]
    return board("healing", "Healing", about, panels, variables, period="now-7d")


def _tiles() -> list[Json]:
    on_hold = {
        "0": ("on", "green"),
        "1": ("paused", "orange"),
        "2": ("frozen", "light-blue"),
        "3": ("paused, frozen", "orange"),
    }
    doing = f"{told('healing_paused')} + 2 * {told('healing_frozen')}"
    return [
        stat(
            "Healing is",
            "`paused`: by a person, or after two roll-backs in a day. `frozen`: the judge has "
            "drifted from its record, so no verdict of it may change a prompt.",
            prom(doing, instant=True),
            mappings=words(on_hold),
        ),
        stat("At work on", "The open healing: one at a time.", sql(_SQL["at_work"]), text=True),
        stat(
            "Waiting for a person",
            "Candidates that the evidence did not decide on: `selfheal healings approve|reject`.",
            sql(_SQL["waiting"]),
            steps=_ALERTING,
        ),
        stat(
            "Time to heal, median",
            "From the opening of a healing to the release of its prompt.",
            sql(_SQL["time_to_heal"]),
            unit="s",
            decimals=0,
        ),
        stat(
            "Roll-backs",
            "Releases that were taken back, by themselves or by hand.",
            sql(_SQL["rolled_back"]),
            steps=_ALERTING,
        ),
        stat(
            "Cost of healing",
            "Tokens of healings in this period times the prices above; without prices nothing.",
            sql(_SQL["cost"]),
            unit="currencyUSD",
            decimals=2,
        ),
    ]


def _healings() -> Json:
    outcome = override("Outcome", mappings=_OUTCOMES, custom__cellOptions={"type": "color-text"})
    return table(
        "Healings",
        "The newest first; one without an outcome is under way, in the state named. Gate: share of "
        "cases passed by the incumbent and by the last candidate, both run afresh on the same.",
        sql(_SQL["healings"]),
        [
            outcome,
            override("Healing", links=_HEALING, custom__width=310),
            override("Took", unit="s", decimals=0),
            override("Cost", unit="currencyUSD", decimals=2),
            override("Gate: before", unit="percentunit", decimals=0),
            override("Gate: after", unit="percentunit", decimals=0),
        ],
    )


def _effects() -> list[Json]:
    return [
        compared(
            "Pass rate before and after each release",
            "Runs next to the release, at most 200 and a day on each side: under the version that "
            "was replaced, and under the new one. No proof: traffic changes too. The gate is the "
            "proof.",
            sql(_SQL["effects_chart"]),
            x="Release",
        ),
        table(
            "Score before and after each release",
            "The same runs with their mean scores, an unusable answer counting as 0.",
            sql(_SQL["effects"]),
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


def _versions() -> list[Json]:
    return [
        lines(
            "Mean score of each version of $agent",
            "While a canary runs, two versions are judged side by side on concurrent runs.",
            sql(_SQL["scores_by_version"], series=True),
            steps=thresholds("red", (0.6, "green")),
            top=1,
            calcs=("mean", "lastNotNull"),
        ),
        lines(
            "Runs under each version of $agent",
            "The canary's share as it really was.",
            sql(_SQL["runs_by_version"], series=True),
            style=BARS,
            calcs=("sum",),
        ),
        lines(
            "Canary share",
            "Share of threads that get the newer version; 0 or 100: no canary is running.",
            prom(told("prompt_canary_percent", by="agent"), "{{agent}}"),
            unit="percent",
            style=STAIRS,
            top=100,
            calcs=("lastNotNull",),
        ),
        lines(
            "Releases by action",
            "`take_back`: a release that took itself back. `rollback`: by hand.",
            sql(_SQL["releases"], series=True),
            style=BARS,
            overrides=coloured("take_back", "rollback", "canary"),
            calcs=("sum",),
        ),
    ]


def _costs() -> list[Json]:
    return [
        lines(
            "Model calls of healings, by state",
            "What each state has cost; the gate runs both arms, and so is most of it.",
            sql(_SQL["by_state"], series=True),
            style=BARS,
            calcs=("sum",),
        ),
        lines(
            "Tokens of healings",
            "Input and output, of all states.",
            sql(_SQL["tokens"], series=True),
            style=BARS,
            calcs=("sum",),
        ),
    ]


def _times() -> list[Json]:
    return [
        points(
            "How long healings took, by outcome",
            "Each point is a healing that ended then.",
            sql(_SQL["times_to_heal"], series=True),
            unit="s",
        )
    ]


def _incidents() -> Json:
    what = override("What", mappings=_WHAT, custom__cellOptions={"type": "color-text"})
    return table(
        "Incidents",
        "What somebody may want to know of: healings that began or broke off, roll-backs, pauses, "
        "a judge that drifted.",
        sql(_SQL["incidents"]),
        [what, override("Healing", links=_HEALING, mappings=_SHOW)],
        width=12,
    )


_WHAT: Final = words(
    {
        "healing broke off": ("healing broke off", "red"),
        "a person must decide": ("a person must decide", "yellow"),
        "healing frozen": ("healing frozen", "light-blue"),
        "rolled back by itself": ("rolled back by itself", "red"),
        "rolled back by hand": ("rolled back by hand", "orange"),
        "healing paused": ("healing paused", "orange"),
        "judge drifted": ("judge drifted", "red"),
    }
)
