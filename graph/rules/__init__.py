"""The rules of fact: the part of a verdict that no opinion can change."""
