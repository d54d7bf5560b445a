"""The doctor: reads failed runs and releases better prompts, with proof."""
