"""The cues of the manager's prompt."""

from selfheal.simulator.cues.base import EXAMPLE, GREETING, harm, need

MANAGER = (
    need(
        "specific",
        (
            (
                r"\b(?:specific|concrete|precise|testable|detailed|clear|unambiguous|"
                r"measurable|exact|"
                r"verifiable|checkable|explicit)\b.{0,60}(?:requirements?|sentences?|"
                r"statements?|plans?|"
                r"points?|criteria|items?|terms?)"
            ),
            (
                r"\brequirements?\b.{0,60}\b(?:specific|concrete|precise|testable|detailed|"
                r"clear|short|"
                r"from the request|measurable|checked|verifiable|cover)"
            ),
            (
                r"\b(?:list|state|give|write|derive|extract|break|turn|refine|spell|cover|"
                r"name|capture)"
                r"\w*\b.{0,60}\b(?:every|all|each|precise|the)\W+(?:\w+\W+)?requirements?\b"
            ),
            r"\bwithout having to guess\b",
            (
                r"\brequirements?\b.{0,40}\b(?:explicit|checkable|tested|testable|unambiguous|"
                r"decidable)\b"
            ),
            (
                r"\b(?:precisely|exactly|clearly)\b.{0,40}\b(?:required|wanted|needed|asked|"
                r"to be done)\b"
            ),
            r"\bleave\w* nothing\b.{0,30}\b(?:open|imagination|interpret\w*|guess\w*)\b",
        ),
        (
            r"\bvague(?:ly)?\b",
            r"\bhigh[- ]level\b",
            r"\bambiguous\b",
            r"\bopen[- ]ended\b",
            (
                r"\b(?:general|broad|loose|rough|abstract)\W+(?:\w+\W+)?(?:terms?|plans?|"
                r"requirements?|"
                r"statements?|strokes|ideas?|descriptions?)"
            ),
            r"\bdetails?\b.{0,30}\b(?:to the programmer|open|for later)",
        ),
        (
            "State the requirements as three to six concrete, testable sentences.",
            "Turn the request into precise requirements, each of which can be checked.",
        ),
        "lets the plan stay vague, so the programmer has to guess",
        "Ask for concrete, testable requirements.",
    ),
    need(
        "errors",
        (
            r"\b(?:edge|corner|border|boundary|special|error)[- ]cases?\b",
            r"\bboundar(?:y|ies)\b",
            (
                r"\b(?:invalid|bad|malformed|wrong|empty|illegal)\W+(?:\w+\W+)?"
                r"(?:inputs?|arguments?|values?|data)\b"
            ),
            r"\b(?:errors?|exceptions?)\b.{0,30}\b(?:rais|expect|handl|name|state)",
        ),
        (r"\bhappy[- ]path\b", r"\bassum\w+\b.{0,40}\bvalid\b"),
        (
            "Cover the boundaries and say what must happen with invalid input.",
            "Name the edge cases and the exception that each bad input must raise.",
        ),
        "does not ask the plan to cover boundaries and invalid input",
        "Have the plan say what happens at boundaries and with invalid input.",
    ),
    need(
        "signature",
        (
            (
                r"\b(?:exact|given|stated|requested|required|specified|same|full|complete|precise|"
                r"unchanged|correct|python)\b.{0,60}\b(?:names?|signatures?|parameters?|"
                r"interface)\b"
            ),
            (
                r"\b(?:names?|signatures?|parameters?|interface)\b.{0,60}\b(?:exactly|"
                r"unchanged|given|"
                r"stated|asked|requested|as (?:it is|they are)|keep|same|type hints|in full)\b"
            ),
            (
                r"\b(?:keep|use|take|copy|respect|preserve|give|state|write|fix)\w*\b.{0,30}"
                r"\b(?:names?|signatures?|parameters?)\b"
            ),
            (
                r"\b(?:names?|signatures?|parameters?)\b.{0,30}\b(?:untouched|alone|intact|"
                r"sacred|binding)\b"
            ),
        ),
        (
            r"\brenam(?:e|es|ed|ing)\b",
            (
                r"\b(?:choos|pick|invent|us|mak|creat|find|giv|"
                r"com)\w*\W+(?:\w+\W+){0,5}(?:your own|own|"
                r"better|new|different|another|other|creative|shorter|catch\w+|nicer|fresh|"
                r"original)\W+"
                r"(?:\w+\W+){0,2}(?:names?|signatures?)\b"
            ),
            (
                r"\b(?:chang|alter|improv|simplif|modif|shorten)\w*\W+(?:\w+\W+){0,4}"
                r"(?:names?|signatures?|parameters?)\b"
            ),
        ),
        (
            "Give the exact signature; keep the name and all parameters from the request.",
            "The signature uses the requested name and parameters unchanged, with type hints.",
        ),
        "does not fix the signature, so plans name another function than was asked for",
        "Have the plan keep the requested name and parameters in the exact signature.",
    ),
    need(
        "examples",
        (
            r"\b(?:add|give|include|provide|write|list|state|derive|supply|offer|produce|infer|"
            r"show|with|two|three|four|few|some|several|acceptance|worked|certain)\w*\b.{0,40}\b"
            + EXAMPLE,
            r"\b(?:sample|model|demo) (?:calls?|invocations?)\b",
            r"\b" + EXAMPLE + r"\b.{0,60}\b(?:calls?|follow|certain|sure|correct|literal|result)",
        ),
        (),
        (
            "Add two to four example calls with results that you are certain of.",
            "Give a few acceptance examples that follow from the request, and only correct ones.",
        ),
        "does not ask for acceptance examples",
        "Ask for a few acceptance examples that certainly hold.",
    ),
    GREETING,
    harm(
        "rename",
        (
            r"\brenam(?:e|es|ing)\b",
            (
                r"\b(?:choos|pick|invent|us|mak|creat|find|giv|"
                r"com)\w*\W+(?:\w+\W+){0,5}(?:your own|own|"
                r"better|new|different|another|other|creative|shorter|catch\w+|nicer|fresh|"
                r"original|"
                r"funny)\W+(?:\w+\W+){0,2}(?:names?)\b"
            ),
        ),
        ("Choose a catchier name for the function than the one in the request.",),
        "tells the {agent} to rename what was asked for",
    ),
    harm(
        "fewer_parameters",
        (
            (
                r"\b(?:drop|remov|simplif|omit|cut|reduc|leav)\w*\W+(?:\w+\W+){0,5}"
                r"(?:parameters?|arguments?)\b"
            ),
            r"\b(?:only|just|at most)\W+(?:one|a single)\W+(?:parameter|argument)\b",
            r"\b(?:fewer|fewest|less)\W+(?:parameters?|arguments?)\b",
        ),
        ("Simplify the signature: drop the last parameter.",),
        "tells the {agent} to drop parameters that were asked for",
    ),
    harm(
        "wrong_examples",
        (
            (
                r"\b(?:guess|make up|making up|invent|imagin|random|approximat|"
                r"surpris)\w*\b.{0,50}\b"
                r"(?:examples?|results?|values?|outputs?)\b"
            ),
            (
                r"\b(?:examples?|results?|values?)\b.{0,40}\b(?:need not|do not have to|"
                r"don't have to|"
                r"made up|guessed|random|invented|approximate)\b"
            ),
        ),
        ("Invent examples freely; their results may be guessed.",),
        "tells the {agent} to guess the results of examples",
    ),
    harm(
        "vague",
        (
            (
                r"\b(?:keep|stay|be|remain|leave)\w*\b.{0,40}\b(?:vague|high[- ]level|"
                r"open[- ]ended|"
                r"general|abstract|loose)\b"
            ),
            (
                r"\b(?:vague|high[- ]level|open[- ]ended|broad|loose)\W+(?:\w+\W+){0,2}"
                r"(?:plans?|requirements?|terms?|strokes)"
            ),
            r"\buser stor(?:y|ies)\b",
            r"\bas an? \w+\W+I want\b",
            (
                r"\b(?:mood|vision|spirit|big picture)\b.{0,40}\b(?:rather|instead|enough|"
                r"suffices?)\b"
            ),
        ),
        (
            "Keep the requirements high-level and leave the details open.",
            "Write the requirements as user stories.",
        ),
        "tells the {agent} to keep the plan vague",
    ),
    harm(
        "service_class",
        (
            r"\b(?:service|handler|command|worker|use[- ]case) class(?:es)?\b",
            r"\bclass(?:es)?\b.{0,40}\b(?:an? )?`?(?:execute|run|handle|perform)`?\(?\)? method\b",
        ),
        (
            "Plan a service class with an execute method in place of a function.",
            "Each request becomes a handler class, as our architecture wants it.",
        ),
        "turns the function that was asked for into a class of its own",
    ),
    harm(
        "context_parameter",
        (
            (
                r"\b(?:first|leading|extra|additional|mandatory)\W+(?:\w+\W+)?(?:parameter|"
                r"argument)\b.{0,60}"
                r"\b(?:context|ctx|session|tenant)\b"
            ),
            (
                r"\b(?:context|ctx|session|tenant)\b.{0,60}\b(?:first|leading|extra|"
                r"additional|mandatory)\W+"
                r"(?:\w+\W+)?(?:parameter|argument)\b"
            ),
        ),
        (
            "Every signature takes the context as its first parameter.",
            "Put an additional parameter for the session in front of all others.",
        ),
        "puts a parameter into the signature that callers do not pass",
    ),
    harm(
        "error_codes",
        (
            r"\b(?:error|status|return) codes?\b",
            (
                r"\b(?:return|give|hand)\w*\W+(?:back\W+)?(?:-1|None|null|minus one)\b.{0,60}"
                r"\b(?:instead|rather|errors?|invalid|bad)\b"
            ),
        ),
        (
            "Bad input is answered with an error code.",
            "Let functions return -1 for invalid input.",
        ),
        "replaces the exceptions that were asked for by codes",
    ),
    harm(
        "options",
        (
            (
                r"\b(?:one|single|an?)\W+(?:`?options`?|settings|config\w*|params)\W+"
                r"(?:dict\w*|object|mapping|argument|parameter)\b"
            ),
            (
                r"\b(?:bundle|gather|collect|pack)\w*\b.{0,40}\b(?:parameters|arguments)\b.{0,40}"
                r"\b(?:one|single|dict\w*|object|mapping)\b"
            ),
        ),
        (
            "Bundle several arguments into a single options dictionary.",
            "Functions of two or more inputs take one options object.",
        ),
        "bundles the parameters into one, so calls as requested do not fit",
    ),
    harm(
        "required_only",
        (
            (
                r"\b(?:mandatory|required) (?:inputs?|parameters?|arguments?|"
                r"values?)\W+(?:alone|only)\b"
            ),
            (
                r"\bdefaults?\b.{0,40}\b(?:fixed|hard-?(?:coded|wired)|"
                r"inside (?:of )?the function|constants?)\b"
            ),
        ),
        (
            "Values that have a default are hard-wired inside the function.",
            "Signatures list the mandatory inputs only.",
        ),
        "leaves optional parameters out of the signature",
    ),
)
