"""The record of a healing: made, shown, verified."""
