"""The decision rules on recorded outcomes of real systems: `python -m bench.real_outcomes`."""
