"""Every command of the command line, with arguments that it takes."""

from collections.abc import Iterator

import click

from server.cli import selfheal as program

UUID = "019ac000-0000-7000-8000-000000000000"


def commands() -> dict[str, tuple[str, ...]]:
    """Return every command: its name, such as `healings show`, to its words and arguments."""
    return {" ".join(words): (*words, *arguments(each)) for words, each in _leaves(program, ())}


def _leaves(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _leaves(found, (*words, name))


def arguments(command: click.Command) -> Iterator[str]:
    """Yield a value for each argument that must be given."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.required:
            yield _value(parameter)


def _value(parameter: click.Argument) -> str:
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return str(kind.choices[1])  # the worker, of the agents
    if isinstance(kind, click.types.UUIDParameterType):
        return UUID
    if isinstance(kind, click.File | click.Path):
        return "-"
    return "77"
