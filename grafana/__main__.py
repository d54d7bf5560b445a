"""Write the dashboards: `python -m grafana`."""

from collections.abc import Iterator
from pathlib import Path

from grafana.healing import healing
from grafana.layout import as_text
from grafana.operations import operations
from grafana.overview import overview

FOLDER = Path(__file__).parent / "dashboards"


def files() -> Iterator[tuple[Path, str]]:
    """Yield each dashboard's file with what belongs into it."""
    for make in (overview, healing, operations):
        yield FOLDER / f"{make.__name__}.json", as_text(make())


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
