"""The tables and charts of the experiment."""

from pathlib import Path

from bench.experiment.records import Records


def report(records: Records, charts: Path | None) -> None:
    """Print the tables; draw the charts if a folder is named."""
    print(len(records.rows), charts)
