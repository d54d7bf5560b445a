"""selfheal repairs the prompts of LLM agents by itself, with evidence.

The folders beside this file are links to those at the top of the checkout, so that what is
installed is this one package.
"""
