"""Draw what a dashboard's panels show, without Grafana: `python -m grafana.render --help`."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

import click
import httpx
import psycopg
from matplotlib.figure import Figure

from grafana.answers import Sources
from grafana.drawing import draw
from grafana.macros import Period, variables_of

_FOLDER = Path(__file__).parent / "dashboards"
_POINTS = 240


@click.command()
@click.argument("name", type=click.Choice(sorted(path.stem for path in _FOLDER.glob("*.json"))))
@click.option("--prometheus", help="its address; without it, panels of metrics stay empty")
@click.option("--postgres", help="its URL; without it, panels of SQL stay empty")
@click.option("--hours", type=float, default=6, show_default=True, help="how far to look back")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="one of its variables")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="[default: NAME.png]")
def render(
    name: str,
    prometheus: str | None,
    postgres: str | None,
    hours: float,
    given: tuple[str, ...],
    png: Path | None,
) -> None:
    """Ask every query of a dashboard, and draw its panels into one picture."""
    try:
        figure = _figure(name, prometheus, postgres, hours, dict(_pair(each) for each in given))
    except (httpx.HTTPError, psycopg.Error) as error:
        raise click.ClickException(str(error)) from error
    target = png or Path(f"{name}.png")
    figure.savefig(target, dpi=90)
    click.echo(f"wrote {target}")


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise click.BadParameter(f"{given}: write it as NAME=VALUE", param_hint="--set")
    return name, value


def _figure(
    name: str, prometheus: str | None, postgres: str | None, hours: float, given: dict[str, str]
) -> Figure:
    dashboard = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    now = datetime.now(UTC)
    period = Period(now - timedelta(hours=hours), now, max(1, round(hours * 3600 / _POINTS)))
    variables = {**variables_of(dashboard), **given}
    for panel in dashboard["panels"]:
        panel["title"] = Template(panel["title"]).safe_substitute(variables)
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=prometheus)) if prometheus else None
        connection = stack.enter_context(psycopg.connect(postgres)) if postgres else None
        sources = Sources(period, variables, client, connection)
        answers = {panel["id"]: sources.ask(panel) for panel in dashboard["panels"]}
        [annotation] = dashboard["annotations"]["list"]
        releases = sources.ask({"title": annotation["name"], "targets": [annotation["target"]]})
    return draw(dashboard, answers, releases, period)


if __name__ == "__main__":
    render()
