"""What docs/metrics.md says, from the code.

`python -m selfheal.server.observability.metrics.reference > docs/metrics.md`.
"""

from collections.abc import Iterator

from prometheus_client import REGISTRY, Metric

from selfheal.app.llm.usage import CALLERS
from selfheal.db.deployment_stats import DeploymentStats
from selfheal.graph.sandbox.metered import create_series
from selfheal.server.observability.metrics import pool, runs
from selfheal.server.observability.metrics.deployment import families

_HEAD = """# Metrics

Made from the code by `python -m selfheal.server.observability.metrics.reference`. Every process of
every role tells its own at `/metrics`, on a port of its own: 1000 above the service's, or
`--metrics-port`. No label names a run, a thread, a user or a version; a counter's series exist from
the start.

Metrics of the *deployment* are read from Postgres and told by one process, however many there are:
the one that was scraped first. When it is gone, another takes over within 30 seconds.
"""
_EMPTY = DeploymentStats(
    passes=(),
    last_success=0.0,
    paused=False,
    live=tuple({"agent": each, "version": 1, "canary_percent": 0} for each in CALLERS[:3]),
    healings=(),
    releases=(),
    queue_depth=0,
    queue_oldest=0.0,
    agreement=1.0,
    drifted=False,
    frozen=False,
)


def known() -> dict[str, tuple[str, list[Metric]]]:
    """Return every metric of ours, in groups: a heading and what it holds."""
    create_series("bwrap")
    assert runs.RUNS  # noqa: S101 - imported for its metrics
    process = [each for each in REGISTRY.collect() if each.name.startswith("selfheal_")]
    return {
        "process": ("Of each process", [*process, pool.family()]),
        "deployment": ("Of the deployment", list(families(_EMPTY, 600.0))),
    }


def reference() -> str:
    """Return the page."""
    return "\n".join((_HEAD, *_groups()))


def _groups() -> Iterator[str]:
    for heading, found in known().values():
        yield f"## {heading}\n\n| metric | kind | labels | meaning |\n|---|---|---|---|"
        for each in sorted(found, key=lambda metric: metric.name):
            yield _row(each)
        yield ""


def _row(metric: Metric) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return f"| `{name}` | {metric.type} | {_labels(metric)} | {metric.documentation} |"


def _labels(metric: Metric) -> str:
    """Return the labels with the values that are known from the start."""
    found: dict[str, set[str]] = {}
    for sample in metric.samples:
        for key, value in sample.labels.items():
            if key != "le":
                found.setdefault(key, set()).add(value)
    return "<br>".join(f"`{key}`: {', '.join(sorted(values))}" for key, values in found.items())


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - the page
