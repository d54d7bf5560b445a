"""Every command of our command line, with arguments that it takes; files are standard input."""

from collections.abc import Iterator
from uuid import UUID

import click

from server.cli import selfheal as root

_ANY_ID = str(UUID(int=0))
# No port that another test may have.
_OPTIONS = {"serve": ("--port", "0", "--metrics-port", "0")}


def commands(group: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command, its arguments filled in."""
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))
    else:
        given = (_value(each) for each in group.params if isinstance(each, click.Argument))
        yield (*path, *given, *_OPTIONS.get(path[-1], ()))


def _value(argument: click.Argument) -> str:
    if isinstance(argument.type, click.Choice):
        return str(argument.type.choices[0])
    if isinstance(argument.type, click.types.IntParamType):
        return "1"
    if argument.type.name == "uuid":
        return _ANY_ID
    return "-" if argument.human_readable_name == "FILE" else "x"
