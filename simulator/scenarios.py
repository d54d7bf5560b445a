"""The scenarios of the simulator, by name."""

from dataclasses import dataclass, field

from selfheal.simulator.answer_context import ModelBehaviour
from selfheal.simulator.faults import Fault

MODELS = ("gemini-3.8-flash", "gemini-3.8-pro", "gemini-flash-latest")
RETIRED = ("gemini-2.0-flash", "gemini-2.5-flash")


@dataclass(frozen=True)
class Scenario:
    """A scenario: its description, the model's behaviour, the faults and the models offered."""

    about: str
    behaviour: ModelBehaviour = field(default_factory=ModelBehaviour)
    faults: tuple[Fault, ...] = ()
    models: tuple[str, ...] = MODELS


SCENARIOS = {
    "sound": Scenario("The model follows its prompts; nothing goes wrong on the way."),
    "null": Scenario(
        "Nothing is wrong with the prompts; candidates are useless or slightly harmful.",
        ModelBehaviour(nothing_wrong=True),
    ),
    "gullible": Scenario(
        "Diagnostician and writer obey orders that they find in data.",
        ModelBehaviour(gullible=True),
    ),
    "judge-lenient": Scenario("The judge passes everything.", ModelBehaviour(judge="lenient")),
    "judge-harsh": Scenario("The judge rejects everything.", ModelBehaviour(judge="harsh")),
    "judge-random": Scenario("The judge's marks are random.", ModelBehaviour(judge="random")),
    "retired-model": Scenario(
        "gemini-3.8-flash is gone, the others answer.",
        faults=(Fault("retired", model="gemini-3.8-flash"),),
    ),
    "rate-limit": Scenario(
        "429 with RetryInfo for the first of every three calls.",
        faults=(Fault("rate-limit", first=1, of=3, retry_delay=1.0),),
    ),
    "rate-limit-storm": Scenario("429 for every call.", faults=(Fault("rate-limit"),)),
    "unavailable": Scenario(
        "Bursts of 503: five calls of every twenty.", faults=(Fault("unavailable", first=5, of=20),)
    ),
    "slow": Scenario("Every answer takes five seconds.", faults=(Fault("slow", seconds=5.0),)),
    "cut-stream": Scenario("Connections close in mid-answer.", faults=(Fault("cut-stream"),)),
    "truncation": Scenario("Answers stop at MAX_TOKENS.", faults=(Fault("truncation"),)),
    "safety-block": Scenario("Prompts are blocked.", faults=(Fault("safety-block"),)),
    "safety-finish": Scenario("Answers are withheld.", faults=(Fault("safety-finish"),)),
    "invalid-json": Scenario("Structured answers are broken.", faults=(Fault("invalid-json"),)),
    "invalid-body": Scenario("The 200 body is no JSON.", faults=(Fault("invalid-body"),)),
    "empty": Scenario("Answers have no text.", faults=(Fault("empty"),)),
    "babble": Scenario("Answers are prose beside the point.", faults=(Fault("babble"),)),
}
