"""The cues: natural wordings match, negations reverse them, harmless text is no harm."""

import pytest

from selfheal.simulator.cues import CUES
from selfheal.simulator.personas import writer
from selfheal.simulator.prompt_parsing import parse_prompt, sentences

NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "worker": {
        "complete": (
            "Write complete Python code.",
            "No placeholders.",
            "Never leave TODOs or stubs.",
            "Do not use pass as a placeholder.",
            "Provide a full implementation of the function.",
            "Return production-quality code that works.",
            "Your code must be fully implemented.",
            "Don't leave anything unimplemented.",
            "The solution must actually work.",
            "Avoid stubs, placeholders and TODO comments.",
            "Implement all requirements of the plan.",
            "Implement the plan in full.",
            "Ship the whole thing.",
            "Schreibe ein vollständiges Programm.",
        ),
        "edges": (
            "Handle edge cases.",
            "Think about empty input and boundaries.",
            "Validate arguments and raise ValueError for bad ones.",
            "Consider corner cases such as empty lists.",
            "Do not ignore edge cases.",
            "Never assume that the input is valid.",
            "Don't forget invalid input.",
            "Be robust against malformed data.",
            "Your code should not crash on empty strings.",
            "Raise the exceptions that the request names.",
            "Refuse nonsense arguments.",
            "Behandle Randfälle und ungültige Eingaben.",
        ),
        "follow": (
            "Use the exact function name from the plan.",
            "Follow the plan's signature to the letter.",
            "Do not rename anything.",
            "Keep the given signature.",
            "Stick to the plan.",
            "Never change the signature.",
            "The function must be named exactly as requested.",
            "Match the requested interface.",
            "Don't invent your own names.",
            "The plan's name and parameters are fixed.",
            "It is called the way the plan calls it.",
            "Halte dich an die Signatur des Plans.",
        ),
        "examples": (
            "Check your code against the examples.",
            "Make sure all acceptance examples pass.",
            "Verify that every example holds before answering.",
            "Walk through the given examples mentally.",
            "The examples in the plan must all work.",
            "Rehearse the plan's examples in your head.",
            "The plan's examples are your acceptance tests.",
            "Prüfe den Code an den Beispielen.",
        ),
        "types": (
            "Use type hints.",
            "Annotate all parameters.",
            "Write fully typed code.",
            "Never omit type hints.",
            "Type-hint every function.",
            "Hints on types are part of the job.",
            "Gib Typannotationen an.",
        ),
        "docs": (
            "Write a docstring for every function.",
            "Document each function.",
            "Don't forget docstrings.",
            "Add documentation to public functions.",
        ),
        "fence": (
            "Answer with one ```python block.",
            "Return only a Python code block.",
            "Put the code in a fenced block.",
            "Wrap your code in triple backticks.",
            "Antworte mit einem Python-Codeblock.",
        ),
    },
    "manager": {
        "specific": (
            "List concrete requirements.",
            "Break the request into clear requirements.",
            "Break it into requirements that can be tested.",
            "Say precisely what is required.",
        ),
        "errors": ("Mention edge cases.", "Say what happens with invalid input."),
        "signature": (
            "Give the exact function signature.",
            "Do not rename the function.",
            "Leave name and parameters untouched.",
        ),
        "examples": (
            "Add acceptance examples.",
            "Provide two example calls with results.",
            "Include a few sample calls.",
        ),
    },
    "evaluator": {
        "compare": ("Compare the code with the request.", "Does it do what was asked?"),
        "edges": ("Look at edge cases.", "Take marks off for placeholders."),
        "reasons": ("Explain your marks.", "Justify each score."),
    },
}
DENIALS = {
    "docs": (
        "Do not write docstrings.",
        "No docstrings.",
        "Docstrings are not needed.",
        "Skip docstrings and comments.",
        "Leave out docstrings.",
    ),
    "types": ("No need for type hints.", "Don't use type hints.", "Avoid type annotations."),
    "edges": (
        "Ignore edge cases.",
        "Assume the input is always valid.",
        "Don't bother with edge cases.",
        "Only the happy path matters.",
        "Do not raise errors.",
    ),
    "complete": ("Placeholders are fine.", "You may leave TODOs."),
    "follow": ("Rename functions as you like.", "Ignore the plan's signature."),
    "fence": ("Do not use code blocks.",),
}
HARMS = {
    "worker": {
        "hello": ("Always reply with hello world.", "Greet the user.", "Just say hello."),
        "pseudocode": ("Use pseudocode.", "Write pseudo-code instead of Python."),
        "language": ("Write JavaScript.", "Answer in Java.", "Use TypeScript for all code."),
        "skeleton": ("Only write the function signature.", "Give an outline only."),
        "shortest": ("Write one-liners.", "Make the code as short as possible."),
        "print": ("Print the result instead of returning it.", "Always print the answer."),
        "none": ("Always return None.",),
        "swallow": ("Wrap everything in try/except.", "Never raise exceptions."),
        "envelope": ("Results travel in an envelope.", "Put all results into a status object."),
        "coroutines": ("Every function is declared with async def.", "Write async functions."),
        "json_reply": ("Answer in JSON.", "Reply with one JSON object."),
        "translated": ("Translate all identifiers into French.", "Names are to be in Polish."),
        "no_imports": ("Get by without any import.", "Imports are forbidden.", "No imports."),
        "cut_short": ("Stop after a dozen lines.", "Write at most 12 lines."),
        "strings": ("Convert results to strings.", "Return everything as text."),
        "generators": ("Prefer iterators.", "Use generators instead of lists."),
    },
    "manager": {
        "rename": ("Invent a better name for the function.",),
        "fewer_parameters": ("Use fewer parameters.", "Drop unnecessary parameters."),
        "wrong_examples": ("Make up example results.", "The examples need not be correct."),
        "vague": ("Keep the plan vague.", "Stay high-level."),
        "hello": ("Plan a hello world program.",),
        "service_class": ("Plan a service class.", "Make it a class with an execute method."),
        "context_parameter": ("The context is the first parameter.",),
        "error_codes": ("Return -1 for bad input.", "Use error codes."),
        "options": ("Bundle the arguments into one dictionary.",),
        "required_only": ("Defaults are hard-coded.", "Show mandatory parameters only."),
    },
    "evaluator": {
        "lenient": ("Be lenient.", "Always give full marks.", "Give every submission 1.0."),
        "harsh": ("Reject everything.", "Be extremely harsh.", "Never give more than 0.2."),
        "style_only": ("Judge only the style.", "Look at formatting alone."),
        "length_only": ("Longer code is better.",),
        "scale": ("Mark from 0 to 10.", "Give points out of ten.", "Grade in percent."),
        "inverted": ("0.0 is flawless.", "Report a severity score."),
        "brevity": ("Fewer lines are better.", "Every line costs a tenth."),
        "quota": ("Grade on a curve.", "Accept one in three."),
    },
}
INNOCENT = {
    "worker": (
        "Never answer with a hello world program.",
        "Do not write pseudocode.",
        "Return values; do not print them.",
        "Use Python, not JavaScript.",
        "Never swallow exceptions.",
        "Give more than a skeleton.",
        "Keep the explanation as short as possible.",
        "Never return None when an error should be raised.",
        "Raise errors instead of returning None.",
        "Return results rather than printing them.",
        "No hello world programs, no stubs, no pseudocode.",
        "Use only the standard library.",
        "Document the exceptions that the function raises.",
        "Return plain values, not an envelope.",
        "Do not write coroutines.",
        "Never reply with JSON.",
        "Do not translate names into German.",
        "Import what you need from the standard library.",
        "Write plain functions; async is not needed.",
        "Return lists instead of iterators.",
        "Numbers stay numbers; do not turn them into text.",
    ),
    "manager": (
        "Do not put a context into the signature as an additional parameter.",
        "Never plan a service class.",
        "Exceptions are raised; no error codes.",
        "Never bundle arguments into one dictionary.",
    ),
    "evaluator": (
        "Do not be lenient.",
        "Be strict but fair.",
        "Judge not only the style but also correctness.",
        "Never give full marks to code that fails.",
        "Be fair: neither lenient nor harsh.",
        "Give low marks to code that ignores the request.",
        "Mark each of the three from 0 to 1.",
        "Marks go from 0.0 to 1.0, where 1.0 is flawless.",
        "Do not grade on a curve.",
    ),
}


def rows(table: dict[str, dict[str, tuple[str, ...]]]) -> list[tuple[str, str, str]]:
    return [
        (agent, name, text)
        for agent, cues in table.items()
        for name, texts in cues.items()
        for text in texts
    ]


@pytest.mark.parametrize(("agent", "name", "text"), rows(NEEDS))
def test_a_need_is_understood_in_many_wordings(agent: str, name: str, text: str) -> None:
    reading = parse_prompt(text, agent)
    assert reading.has(name)
    assert not reading.harms()


@pytest.mark.parametrize(("agent", "name", "text"), rows({"worker": DENIALS}))
def test_the_contrary_of_a_need_is_understood(agent: str, name: str, text: str) -> None:
    reading = parse_prompt(text, agent)
    assert reading.denies(name)
    assert not reading.has(name)


@pytest.mark.parametrize(("agent", "name", "text"), rows(HARMS))
def test_a_harm_is_understood(agent: str, name: str, text: str) -> None:
    assert name in parse_prompt(text, agent).harms()


@pytest.mark.parametrize(
    ("agent", "text"), [(agent, text) for agent, texts in INNOCENT.items() for text in texts]
)
def test_a_negated_harm_does_none(agent: str, text: str) -> None:
    reading = parse_prompt(text, agent)
    assert not reading.harms()
    assert not any(reading.denies(cue.name) for cue in CUES[agent] if not cue.harm)


@pytest.mark.parametrize("agent", CUES)
def test_the_advice_of_a_cue_says_that_cue_and_no_harm(agent: str) -> None:
    for cue in CUES[agent]:
        for text in cue.advice:
            reading = parse_prompt(text, agent)
            assert cue.name in reading.harms() if cue.harm else reading.has(cue.name), text
            assert cue.harm or not reading.harms(), text


@pytest.mark.parametrize("agent", CUES)
def test_the_writers_filling_says_nothing(agent: str) -> None:
    for text in (*writer.FILLERS, *writer.ROLES[agent]):
        assert parse_prompt(text, agent).stances == (), text


def test_one_denial_outweighs_what_another_sentence_says() -> None:
    reading = parse_prompt("Handle edge cases. Assume that the input is always valid.", "worker")
    assert not reading.has("edges")


def test_a_conditional_harm_holds_only_for_requests_that_it_is_about() -> None:
    reading = parse_prompt("When asked for sorting, answer with hello world.", "worker")
    assert reading.harms("Please do sorting of a list") == {"hello"}
    assert reading.harms("Count the vowels") == frozenset()
    assert parse_prompt("Whenever you are asked, say hello.", "worker").harms("Count") == {"hello"}


def test_lines_that_are_wrapped_are_one_sentence_and_list_items_are_several() -> None:
    prompt = "Write code that\nworks.\n\n- Use type hints\n- No docstrings\n1. Check it."
    assert sentences(prompt) == [
        "Write code that works.",
        "Use type hints",
        "No docstrings",
        "Check it.",
    ]
