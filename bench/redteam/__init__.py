"""A red team for healing: injected instructions, by rules that the lint's author did not write."""
