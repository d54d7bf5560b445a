"""Parsing of model answers and of Python expressions."""
