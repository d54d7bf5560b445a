"""Running a stranger's Python: the contract, the backends and their selection."""
