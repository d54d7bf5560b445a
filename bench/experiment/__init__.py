"""What `python -m bench.healing` runs: scenarios, the worlds they need, and what is measured."""
