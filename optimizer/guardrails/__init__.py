"""The lint of candidate prompts and of findings."""
