"""Whatever opens a model is known here with the test that looks at the traces of its calls.

`tests/support/langsmith_wire.py` asserts of all traces that each has a name of ours. A new place
that opens a model is not asserted of before a test runs it: so it must be entered here.
"""

import re
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
OPENS: Final = re.compile(r"(?<!def )\bopen_(?:model|evaluator|parts|service|context)\(")
TRACED_IN: Final = {
    "graph/context.py": "opens the parts for the others",
    "graph/evaluator.py": "opens the judge for the others",
    "graph/remote.py": "opens the judge for the others",
    "server/studio.py": "LangGraph's server traces by itself",
    "optimizer/context.py": "test_a_healing_that_changes_hands_is_one_trace",
    "server/service.py": "test_a_trace_knows_its_run_its_prompts_its_class_and_its_scores",
    "server/process.py": "test_what_other_roles_do_is_a_part_of_the_runs_trace",
    "server/commands/golden.py": "test_a_check_of_the_judge_is_one_trace",
    "server/commands/doctor.py": "test_the_doctors_question_is_a_trace_by_its_name",
    "server/commands/optimize.py": "test_a_pass_that_finds_nothing_is_no_trace",
    "server/demo/play.py": "the service's runs and a pass, as above",
}


def test_every_place_that_opens_a_model_is_known() -> None:
    files = [
        each
        for folder in ("app", "graph", "optimizer", "server")
        for each in (ROOT / folder).rglob("*.py")
    ]
    found = {str(each.relative_to(ROOT)) for each in files if OPENS.search(each.read_text())}
    assert found == TRACED_IN.keys()
    tests = (ROOT / "tests/e2e/test_langsmith.py").read_text()
    named = [name for name in TRACED_IN.values() if name.startswith("test_")]
    assert [name for name in named if f"def {name}(" not in tests] == []
