"""Telling others that a run has ended: where, signed how, and how often it is tried."""
