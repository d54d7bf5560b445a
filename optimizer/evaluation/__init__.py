"""Trials of candidates, their budget, and checks of the judge."""
