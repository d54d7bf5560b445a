"""The optimizer's own model calls, paid from the healing's budget like every trial."""

from typing import TypeVar

from pydantic import BaseModel

from graph.errors import OutputError
from optimizer.context import Doctor
from optimizer.trials import pay

Shape = TypeVar("Shape", bound=BaseModel)


async def fill(
    doctor: Doctor, healing_id: str, system: str, human: str, shape: type[Shape]
) -> Shape:
    """Ask for a shape, once more if the first answer cannot be used.

    Raises:
        RunError: the model gave no usable answer.
        BudgetSpentError: there is nothing left to pay it from.
    """
    try:
        return await _once(doctor, healing_id, system, human, shape)
    except OutputError:
        return await _once(doctor, healing_id, system, human, shape)


async def _once(
    doctor: Doctor, healing_id: str, system: str, human: str, shape: type[Shape]
) -> Shape:
    answer, _ = await pay(doctor, healing_id, 1, doctor.model.fill(system, human, shape))
    return answer.content
