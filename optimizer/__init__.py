"""The optimizer: reads failed runs and releases better prompts, with proof."""
