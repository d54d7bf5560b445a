"""The cases that candidates are evaluated on: their sources, quotas and split."""
