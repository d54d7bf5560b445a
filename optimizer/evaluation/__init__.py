"""Trials of candidates, the budget of a healing, and checks of the judge."""
