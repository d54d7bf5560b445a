"""`python -m simulator [--port 8900] [--scenario NAME] [--seed N] [-- COMMAND …]`."""

import argparse
import asyncio
import sys
import warnings

from selfheal.simulator.bank import load_bank
from selfheal.simulator.command import open_socket, serve
from selfheal.simulator.scenarios import SCENARIOS
from selfheal.simulator.state import State
from selfheal.simulator.tasks import BankError

_PORT = 8900


def main() -> int:
    """Serve; with a command, run it against the server and return its exit code."""
    # The judged code is arbitrary: warnings of the compiler about it do not belong on the terminal.
    warnings.simplefilter("ignore", SyntaxWarning)
    parser = _parser()
    given, command = _split(sys.argv[1:])
    options = parser.parse_args(given)
    port = options.port if options.port is not None else (0 if command else _PORT)
    try:
        state = State(load_bank(), options.scenario, options.seed)
        bound = open_socket(options.host, port)
    except BankError as error:
        parser.error(f"the bank cannot be read: {error}")
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on {options.host}:{port}: {error}; choose another --port")
    try:
        return asyncio.run(serve(state, bound, command))
    except OSError as error:
        parser.error(f"cannot run {command[0]!r}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A SIMULATED Gemini on its real wire.",
        epilog="-- COMMAND …: run COMMAND against it (on a free port) and exit with its exit code.",
    )
    parser.add_argument("--port", type=int, help=f"default {_PORT}; 0: any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--scenario", default="sound", choices=SCENARIOS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


if __name__ == "__main__":
    sys.exit(main())
