"""Runs: accepted, queued, executed, recovered, followed."""
