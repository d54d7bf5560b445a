"""Proposers of candidates: the built-in writer and GEPA, under the same gate and budget."""
