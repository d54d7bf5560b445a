"""Dashboard of the infrastructure: queue, model, sandbox, database, optimizer."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.layout import assemble
from grafana.panels import Panel, areas, coloured, lines, stat, thresholds
from grafana.promql import grown, of_deployment, rate, series, share, summed
from grafana.queries import prom

_AGE = thresholds("green", (30, "orange"), (120, "red"))
_CALLS = coloured("ok", "output", "limited", "unavailable", "timeout", "error")


def operations() -> Dashboard:
    """Return the dashboard Operations."""
    about = "Queue, model, sandbox, Postgres and optimizer. Purple lines are releases of prompts."
    panels = [*_tiles(), *_queue(), *_model(), *_tokens(), *_inside(), *_optimizer()]
    return assemble("operations", "Operations", about, panels)


def _tiles() -> list[Panel]:
    failed = share(rate("model_calls_total", 'outcome!="ok"'), rate("model_calls_total"))
    behind = (
        f"(time() - {of_deployment('optimizer_last_success_timestamp_seconds')})"
        f" / {of_deployment('optimizer_interval_seconds')}"
    )
    return [
        stat(
            "Runs waiting",
            "Accepted runs that no runner executes yet.",
            prom(of_deployment("queue_depth")),
            decimals=0,
        ),
        stat(
            "Oldest wait",
            "Waiting time of the oldest of these runs.",
            prom(of_deployment("queue_oldest_age_seconds")),
            unit="s",
            steps=_AGE,
        ),
        stat(
            "Runs recovered",
            "Runs that another process resumed after theirs had died, in this period.",
            prom(grown("runs_recovered_total"), instant=True),
            decimals=0,
            steps=thresholds("green", (1, "orange")),
        ),
        stat(
            "Model calls without answer",
            "Share of calls that did not end as `ok`. Each retry counts.",
            prom(failed),
            unit="percentunit",
            decimals=1,
            steps=thresholds("green", (0.05, "orange"), (0.3, "red")),
        ),
        stat(
            "Waiting for Postgres",
            "Requests that wait for a connection of a pool, over all processes.",
            prom(summed(series("db_pool_connections", 'state="waiting"'))),
            decimals=0,
            steps=thresholds("green", (1, "orange"), (10, "red")),
        ),
        stat(
            "Optimizer, since its last pass",
            "In intervals of the schedule. An alert fires after 3 intervals without a pass.",
            prom(behind),
            unit="suffix: intervals",
            decimals=1,
            steps=thresholds("green", (2, "orange"), (3, "red")),
        ),
    ]


def _queue() -> list[Panel]:
    return [
        lines(
            "Queue depth",
            "Waiting runs. If it grows, runs arrive faster than they are executed: add runners.",
            prom(of_deployment("queue_depth"), "waiting"),
        ),
        lines(
            "Age of the oldest waiting run",
            "The delay callers see. A deep, young queue is a burst; an old one needs runners.",
            prom(of_deployment("queue_oldest_age_seconds"), "oldest"),
            unit="s",
            steps=_AGE,
        ),
    ]


def _model() -> list[Panel]:
    retried = 'outcome=~"limited|unavailable|timeout"'
    return [
        lines(
            "Model calls a second, by outcome",
            "`limited`: 429. `unavailable`: 5xx or unreachable. `retired`: the model is gone, and "
            "only another one helps. `output`: cut, blocked or unreadable.",
            prom(rate("model_calls_total", by="outcome"), "{{outcome}}"),
            unit="suffix: /s",
            style=areas,
            overrides=_CALLS,
        ),
        lines(
            "Retries and fall-backs a minute",
            "Retried calls of each agent, and calls that went to a fall-back model.",
            prom(f"60 * {rate('model_calls_total', retried, by='agent')}", "{{agent}}: retries"),
            prom(f"60 * {rate('model_fallbacks_total')}", "fall-back model"),
            unit="suffix: /min",
        ),
    ]


def _tokens() -> list[Panel]:
    by = "agent, direction"
    return [
        lines(
            "Tokens a second",
            "By agent and direction.",
            prom(rate("model_tokens_total", by=by), "{{agent}} {{direction}}"),
            unit="suffix: /s",
            style=areas,
        ),
        lines(
            "Recoveries a minute",
            "Runs that were resumed from their checkpoints when a process had died. If there are "
            "many, look at memory limits and evictions.",
            prom(f"60 * {rate('runs_recovered_total')}", "recovered"),
            unit="suffix: /min",
        ),
    ]


def _inside() -> list[Panel]:
    return [
        lines(
            "Programs run in the sandbox, a second",
            "By outcome; `error`: the program raised. Programs that are only read are not counted.",
            prom(rate("sandbox_runs_total", by="outcome"), "{{outcome}}"),
            unit="suffix: /s",
            style=areas,
            overrides=coloured("ok", "output", "timeout", "unavailable"),
        ),
        lines(
            "Postgres pool",
            "Connections of all processes, and requests that wait for one.",
            prom(summed(series("db_pool_connections"), by="state"), "{{state}}"),
            style=areas,
        ),
    ]


def _optimizer() -> list[Panel]:
    passes = f"3600 * max by (outcome) (rate({series('optimizer_runs_total')}[$__rate_interval]))"
    return [
        lines(
            "Optimizer passes an hour, by outcome",
            "Most passes find nothing to heal. `error`: the pass itself failed.",
            prom(passes, "{{outcome}}"),
            unit="suffix: /h",
            style=areas,
            overrides=coloured("healthy", "error", "rejected", "canary", "promoted"),
        ),
        lines(
            "Agreement of the judge with its golden verdicts",
            "Share of golden verdicts that the judge reproduces, measured daily. After a drop, "
            "scores cannot be compared with earlier ones.",
            prom(of_deployment("evaluator_agreement"), "agreement"),
            unit="percentunit",
            top=1,
            calcs=("lastNotNull", "min"),
        ),
    ]
