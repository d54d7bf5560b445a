"""PromQL of the chosen jobs; a ratio has no value where there was no traffic."""

WINDOW = "$__rate_interval"


def series(name: str, *labels: str) -> str:
    """Return the selector of a metric, of the chosen jobs."""
    chosen = ", ".join(('job=~"$job"', *labels))
    return f"selfheal_{name}{{{chosen}}}"


def summed(inner: str, by: str = "") -> str:
    """Return a sum over all instances, kept apart by a label if one is named."""
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def rate(name: str, *labels: str, by: str = "") -> str:
    """Return by how much a counter grows in a second."""
    return summed(f"rate({series(name, *labels)}[{WINDOW}])", by)


def grown(name: str, *labels: str) -> str:
    """Return by how much a counter grew in the period shown."""
    return summed(f"increase({series(name, *labels)}[$__range])")


def share(part: str, whole: str, by: str = "") -> str:
    """Return part / whole; where there was nothing, there is no share."""
    match = " on () group_left ()" if by else ""
    return f"{part} /{match} ({whole} > 0)"


def mean(name: str, *labels: str, by: str = "") -> str:
    """Return the mean of a histogram's observations."""
    return f"{rate(f'{name}_sum', *labels, by=by)} / ({rate(f'{name}_count', *labels, by=by)} > 0)"


def quantile(q: float, name: str, by: str = "") -> str:
    """Return a quantile of a histogram's observations; without observations nothing, not NaN."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{name}_bucket', by=labels)}) >= 0"


def of_deployment(name: str, by: str = "") -> str:
    """Return a figure of the deployment as a whole, which one of its processes exports."""
    return f"max by ({by}) ({series(name)})" if by else f"max({series(name)})"
