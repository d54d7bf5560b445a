"""Measurements and trials of the whole, run by hand: `python -m bench.NAME`."""
