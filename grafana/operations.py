"""Whether the machinery holds: queue, model, sandbox, database, optimizer."""

from grafana.board import board
from grafana.model import Json, coloured, prom, thresholds
from grafana.panels import AREAS, lines, stat
from grafana.promql import grown, rate, series, share, summed, told

_AGE = thresholds("green", (30, "orange"), (120, "red"))
_CALLS = coloured("ok", "output", "limited", "unavailable", "timeout", "error")


def operations() -> Json:
    """Return the dashboard Operations."""
    about = "Does the machinery hold? Purple lines are releases of prompts."
    panels = [*_tiles(), *_queue(), *_model(), *_tokens(), *_inside(), *_optimizer()]
    return board("operations", "Operations", about, panels)


def _tiles() -> list[Json]:
    failed = share(rate("model_calls_total", 'outcome!="ok"'), rate("model_calls_total"))
    behind = (
        f"(time() - {told('optimizer_last_success_timestamp_seconds')})"
        f" / {told('optimizer_interval_seconds')}"
    )
    return [
        stat(
            "Runs waiting",
            "Runs that were taken in and that nobody executes yet.",
            prom(told("queue_depth")),
            decimals=0,
        ),
        stat(
            "Oldest wait",
            "How long the oldest of them has been waiting.",
            prom(told("queue_oldest_age_seconds")),
            unit="s",
            steps=_AGE,
        ),
        stat(
            "Runs recovered",
            "Runs whose process died and that another one resumed, in this period.",
            prom(grown("runs_recovered_total"), instant=True),
            decimals=0,
            steps=thresholds("green", (1, "orange")),
        ),
        stat(
            "Model calls without answer",
            "Share of calls that ended otherwise than `ok`. One that is made again counts again.",
            prom(failed),
            unit="percentunit",
            decimals=1,
            steps=thresholds("green", (0.05, "orange"), (0.3, "red")),
        ),
        stat(
            "Waiting for Postgres",
            "Those who wait for a connection of a pool, over all processes.",
            prom(summed(series("db_pool_connections", 'state="waiting"'))),
            decimals=0,
            steps=thresholds("green", (1, "orange"), (10, "red")),
        ),
        stat(
            "Optimizer, since its last pass",
            "In intervals of its clock. Silent for 3 intervals: there is an alert.",
            prom(behind),
            unit="suffix: intervals",
            decimals=1,
            steps=thresholds("green", (2, "orange"), (3, "red")),
        ),
    ]


def _queue() -> list[Json]:
    return [
        lines(
            "Queue depth",
            "Runs that wait. Grows while runs come in faster than runners take them: add runners.",
            prom(told("queue_depth"), "waiting"),
        ),
        lines(
            "Age of the oldest waiting run",
            "What a caller feels. Deep and young is a burst; old is a runner that is missing.",
            prom(told("queue_oldest_age_seconds"), "oldest"),
            unit="s",
            steps=_AGE,
        ),
    ]


def _model() -> list[Json]:
    retried = 'outcome=~"limited|unavailable|timeout"'
    return [
        lines(
            "Model calls a second, by outcome",
            "`limited`: 429. `unavailable`: 5xx or unreachable. `retired`: the model is gone, and "
            "only another one helps. `output`: cut, blocked or unreadable.",
            prom(rate("model_calls_total", by="outcome"), "{{outcome}}"),
            unit="suffix: /s",
            style=AREAS,
            overrides=_CALLS,
        ),
        lines(
            "Retries and fall-backs a minute",
            "Calls of each agent that had to be made again, and calls that went to a fall-back "
            "model.",
            prom(f"60 * {rate('model_calls_total', retried, by='agent')}", "{{agent}}: again"),
            prom(f"60 * {rate('model_fallbacks_total')}", "fall-back model"),
            unit="suffix: /min",
        ),
    ]


def _tokens() -> list[Json]:
    by = "agent, direction"
    return [
        lines(
            "Tokens a second",
            "By agent and direction.",
            prom(rate("model_tokens_total", by=by), "{{agent}} {{direction}}"),
            unit="suffix: /s",
            style=AREAS,
        ),
        lines(
            "Recoveries a minute",
            "A process died, another one resumed its runs from their checkpoints. Often: look at "
            "memory limits and evictions.",
            prom(f"60 * {rate('runs_recovered_total')}", "recovered"),
            unit="suffix: /min",
        ),
    ]


def _inside() -> list[Json]:
    return [
        lines(
            "Programs run in the sandbox, a second",
            "By outcome; `error`: the program raised. Programs that are only read are not in it.",
            prom(rate("sandbox_runs_total", by="outcome"), "{{outcome}}"),
            unit="suffix: /s",
            style=AREAS,
            overrides=coloured("ok", "output", "timeout", "unavailable"),
        ),
        lines(
            "Postgres pool",
            "Connections of all processes, and those who wait for one.",
            prom(summed(series("db_pool_connections"), by="state"), "{{state}}"),
            style=AREAS,
        ),
    ]


def _optimizer() -> list[Json]:
    passes = f"3600 * max by (outcome) (rate({series('optimizer_runs_total')}[$__rate_interval]))"
    return [
        lines(
            "Passes of the optimizer an hour, by outcome",
            "Most passes find all well. `error`: the pass itself failed.",
            prom(passes, "{{outcome}}"),
            unit="suffix: /h",
            style=AREAS,
            overrides=coloured("healthy", "error", "rejected", "canary", "promoted"),
        ),
        lines(
            "Agreement of the judge with its record",
            "Share of golden verdicts that the judge still gives as recorded, asked once a day. A "
            "drop means that scores do not compare with earlier ones.",
            prom(told("evaluator_agreement"), "agreement"),
            unit="percentunit",
            top=1,
            calcs=("lastNotNull", "min"),
        ),
    ]
