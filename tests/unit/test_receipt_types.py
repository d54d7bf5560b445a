"""The state and the receipt of a healing: typed throughout, and described for those who read it."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from types import ModuleType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import psycopg
import pytest
from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from selfheal.db.reasons import because
from selfheal.optimizer import build, nodes, outcomes, policy, receipt, records, state
from selfheal.optimizer.receipt import schema
from selfheal.optimizer.records.diagnosis import Findings
from selfheal.optimizer.wording import shown_result
from selfheal.server.api.schemas.healings import HealingDetail
from selfheal.server.assistants import schemas_of


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


MODULES = (
    state,
    build,
    outcomes,
    *(module for package in (nodes, policy, receipt, records) for module in _modules(package)),
)
# What Postgres gave is checked before it is a part of the state.
UNTYPED = {"_cases"}


def annotated(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield all types that a module's own classes, functions and aliases name, and where."""
    for name, value in vars(module).items():
        if getattr(value, "__module__", module.__name__) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from ((f"{name}.{field}", kind) for field, kind in get_type_hints(value).items())
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if function.__module__ != module.__name__:
                    continue
                yield from (
                    (f"{name}.{method}", kind) for kind in get_type_hints(function).values()
                )
        elif inspect.isfunction(value) and name not in UNTYPED:
            yield from ((name, kind) for kind in get_type_hints(value).values())
        elif get_origin(value):
            yield name, value  # an alias


def untyped(kind: Any, loose: tuple[Any, ...] = (Any,), seen: tuple[Any, ...] = ()) -> bool:
    """Tell whether a type is, or is made of, a mapping to one of the types that say nothing."""
    if any(kind is each for each in seen):
        return False
    parts = get_args(kind)
    if get_origin(kind) is psycopg.AsyncConnection:  # its rows are checked where they are read
        return False
    if get_origin(kind) in (dict, Mapping) and any(each in parts for each in loose):
        return True
    if kind in (dict, Mapping):
        return True
    return any(untyped(each, loose, (*seen, kind)) for each in parts if not isinstance(each, str))


@pytest.mark.parametrize("module", MODULES, ids=lambda each: each.__name__.partition(".")[2])
def test_no_part_of_a_state_or_a_receipt_is_a_mapping_to_anything(module: ModuleType) -> None:
    assert [place for place, kind in annotated(module) if untyped(kind)] == []


def parts(kind: Any, seen: set[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each field of a TypedDict and of those within it, as (TypedDict, type)."""
    if is_typeddict(kind):
        if kind in seen:
            return
        seen.add(kind)
        for field in get_type_hints(kind).values():
            yield kind, field
            yield from parts(field, seen)
    for each in get_args(kind):
        yield from parts(each, seen)


@pytest.mark.parametrize("whole", [state.State, schema.Receipt])
def test_what_they_are_made_of_is_typed_to_the_last_field(whole: Any) -> None:
    fields = list(parts(whole, set()))
    assert len(fields) > 60
    loose = (Any, object, dict, Mapping)
    assert [
        (of.__name__, kind) for of, kind in fields if kind in loose or untyped(kind, (Any, object))
    ] == []


def test_an_alias_is_no_way_out() -> None:
    anything = typing.Dict[str, Any]  # noqa: UP006
    assert untyped(anything)
    assert untyped(list[dict[str, Any]] | None)
    assert isinstance(list[Any] | None, UnionType)
    assert not untyped(dict[str, float | None])


def test_the_schema_of_a_receipt_is_in_the_api() -> None:
    made = HealingDetail.model_json_schema(mode="serialization")
    receipt = made["$defs"]["Receipt"]
    assert receipt["properties"]["schema_version"] == {"const": 1, "title": "Schema Version",
                                                       "type": "integer"}  # fmt: skip
    assert set(receipt["required"]) == schema.Receipt.__required_keys__
    assert {"GateReport", "ScreenReport", "JudgeRecord", "Findings", "Reason"} <= made[
        "$defs"
    ].keys()
    assert "cases_lost" in made["$defs"]["Reason"]["properties"]["code"]["enum"]


def test_a_reason_of_no_code_does_not_fit_the_schema() -> None:
    fits = TypeAdapter(Findings).validate_python
    evidence = {"diagnosed": "worker", "causes": {"unclear": 1}, "revertible": [],
                "replaceable": [], "reverted": {"worker": [1, 2]}, "rejected": []}  # fmt: skip
    found = {"patterns": [], "root_causes": [], "blame": "worker", "suggestions": [], "dropped": []}
    known = {"reason": because("diagnosis_uncontested"), "evidence": evidence}
    assert fits({**found, "attribution": known})
    other = {"reason": {"code": "hearsay", "values": {}}, "evidence": evidence}
    with pytest.raises(ValueError, match="hearsay"):
        fits({**found, "attribution": other})


def test_what_a_client_gets_of_an_optimizer_run_is_what_its_schema_says() -> None:
    schema_of = schemas_of("optimizer")["output_schema"]
    ended = state.Result(agent=None, outcome="busy", reason=because("healing_open"))
    shown = shown_result(ended)
    assert shown["reason"] == "another healing is in progress"
    assert schema_of["properties"]["reason"]["type"] == "string"
    assert shown.keys() <= schema_of["properties"].keys()
    assert set(schema_of["required"]) <= shown.keys()
