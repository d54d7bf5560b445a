"""`python -m selfheal.server`: the same as the command `selfheal`."""

from selfheal.server.cli import main

main()
