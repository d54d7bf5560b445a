"""`python -m server`: the same as the command `selfheal`."""

from server.cli import main

main()
