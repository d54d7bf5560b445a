"""The optimizer's own model calls, paid from the healing's budget like every trial."""

from typing import TypeVar

from pydantic import BaseModel

from selfheal.app.llm.client import CALLS_AN_ANSWER
from selfheal.optimizer.context import OptimizerContext
from selfheal.optimizer.evaluation.trials import pay

Shape = TypeVar("Shape", bound=BaseModel)


async def fill(
    doctor: OptimizerContext, healing_id: str, system: str, human: str, shape: type[Shape]
) -> Shape:
    """Ask for a shape; it costs at most `CALLS_AN_ANSWER` calls.

    Raises:
        RunError: the model gave no usable answer.
        BudgetSpentError: there is nothing left to pay it from.
    """
    work = doctor.model.fill(system, human, shape)
    answer, _ = await pay(doctor, healing_id, CALLS_AN_ANSWER, work)
    return answer.content
