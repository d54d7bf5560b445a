"""Every command of our command line, with arguments that it takes; files are standard input."""

from collections.abc import Iterator
from uuid import UUID

import click

from selfheal.server.cli import selfheal as root

_ANY_ID = str(UUID(int=0))
# No port that another test may have.
_OPTIONS = {"serve": ("--port", "0", "--metrics-port", "0"), "lift": ("--reason", "x")}


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of each command, its arguments filled in."""
    yield from commands_by_name().values()


def commands_by_name() -> dict[str, tuple[str, ...]]:
    """Return the words of each command under its name, such as `healings show`."""
    return {" ".join(path): (*path, *given) for path, given in _leaves(root, ())}


def _leaves(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the path of each command below, and the arguments that it is given."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _leaves(found, (*path, name))
    else:
        given = (
            _value(each)
            for each in command.params
            if isinstance(each, click.Argument) and each.required
        )
        yield path, (*given, *_OPTIONS.get(path[-1], ()))


def _value(argument: click.Argument) -> str:
    if isinstance(argument.type, click.Choice):
        return str(argument.type.choices[0])
    if isinstance(argument.type, click.types.IntParamType):
        return "1"
    if argument.type.name == "uuid":
        return _ANY_ID
    return "-" if argument.human_readable_name == "FILE" else "x"
