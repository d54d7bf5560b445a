"""The cues of the worker's prompt."""

from selfheal.simulator.cues.base import EXAMPLE, FAULT, GREETING, LANGUAGE, NAME, harm, need

WORKER = (
    need(
        "complete",
        (
            r"\bcomplet(?:e|ely|ed|eness)\b",
            (
                r"\b(?:fully?|entire(?:ly)?|whole|finished|runnable|executable|production)\b"
                r".{0,40}(?:work|cod|implement|function|program|solution|quality|request|task)"
            ),
            r"\bimplement\w*\W+(?:\w+\W+){0,3}(?:all|every|each|everything|fully|entirely)\b",
            (
                r"\b(?:working|functional|functioning|real|usable)\W+(?:\w+\W+){0,2}"
                r"(?:code|implementations?|functions?|programs?|solutions?|logic|bod(?:y|ies))"
            ),
            r"\b(?:actually|really)\W+(?:\w+\W+){0,2}(?:works?|runs?|does|implement\w*|solves?)\b",
            (
                r"\b(?:code|functions?|programs?|solutions?)\W+(?:that|which|must|should|has to)"
                r"\W+(?:\w+\W+){0,2}(?:works?|runs?)\b"
            ),
            r"\b(?:implement|write|deliver|cod)\w*\b.{0,40}\bin full\b",
            r"\bthe whole (?:thing|program|lot)\b",
            (
                r"\bnothing\W+(?:\w+\W+){0,3}(?:left|postponed|deferred|filled in|"
                r"added) (?:open|out|later|over)\b"
            ),
            r"\b(?:vollständig|lauffähig)\w*\b",
        ),
        (
            r"\bplace ?holders?\b",
            r"\bstub(?:s|bed)?\b",
            r"\bto-?dos?\b",
            r"\bNotImplementedError\b",
            r"\bincomplete\b",
            r"\bunfinished\b",
            r"\bunimplemented\b",
            r"\b(?:empty|missing) (?:function )?bod(?:y|ies)\b",
            r"\bhalf[- ](?:done|finished)\b",
            r"\brest\b.{0,20}\bto the (?:reader|user|caller)",
        ),
        (
            "Write a complete, working implementation; never leave a placeholder or a stub.",
            (
                "Implement everything that is asked for, in full, with no placeholder bodies "
                "or TODOs."
            ),
            "Every function must have a real, finished body that works: no stubs.",
        ),
        "does not ask for a complete implementation, so placeholder bodies come back",
        "Demand a complete, working implementation without placeholders.",
    ),
    need(
        "edges",
        (
            r"\b(?:edge|corner|border|boundary|special|error|failure)[- ]cases?\b",
            r"\bboundar(?:y|ies)\b",
            (
                r"\b(?:invalid|bad|malformed|wrong|illegal|unexpected|faulty|incorrect|"
                r"unusual|odd|nonsense|nonsensical|senseless)\W+"
                r"(?:\w+\W+)?(?:inputs?|arguments?|values?|data|parameters?|types?)\b"
            ),
            r"\bempty\W+(?:\w+\W+)?(?:inputs?|lists?|strings?|collections?|values?|sequences?)\b",
            r"\bvalidat(?:e|es|ing|ion)\b",
            r"\bguard(?:s|ing)?\b.{0,20}(?:against|clause|input)",
            r"\b(?:check|verify)\w*\W+(?:\w+\W+){0,2}(?:inputs?|arguments?|parameters?)\b",
            r"\braise\w*\b.{0,60}" + FAULT,
            r"\bdegenerate\b",
            r"\brobust(?:ly|ness)?\b",
            r"\b(?:errors?|exceptions?)\W+(?:handling|conditions?)\b",
            r"\bhandl\w+\W+(?:\w+\W+){0,3}" + FAULT,
            (
                r"\b(?:refus|reject|turn\w* down)\w*\W+(?:\w+\W+){0,3}(?:inputs?|arguments?|"
                r"values?)\b"
            ),
            r"\bextremes?\b.{0,30}\b(?:inputs?|arguments?|values?|ranges?)\b",
            r"\b(?:Rand|Sonder)f(?:a|ä)ll\w*\b",
            r"\bungültige\w*\b",
        ),
        (
            (
                r"\b(?:assum|suppos|presum)\w+\b.{0,60}\b(?:valid|well[- ]formed|correct|"
                r"clean|sane|"
                r"good|right|proper)\b"
            ),
            r"\bhappy[- ]path\b",
            r"\btrust(?:s|ing)?\W+(?:the\W+)?(?:callers?|inputs?|users?|arguments?)\b",
            (
                r"\b(?:only|just|merely)\W+(?:\w+\W+){0,2}"
                r"(?:main|usual|common|normal|typical|simple|ordinary)\W+(?:cases?|paths?|"
                r"inputs?)\b"
            ),
        ),
        (
            "Handle edge cases and invalid input: empty values, boundaries, wrong arguments.",
            "Think of the boundaries, of empty values and of bad input, and treat each as asked.",
            "Cover corner cases, and raise the right exception when an argument is invalid.",
        ),
        "says nothing of edge cases and invalid input, so guards are missing",
        "Ask for edge cases and invalid input to be handled.",
    ),
    need(
        "follow",
        (
            r"\b(?:exact(?:ly)?|given|stated|requested|required|specified|planned|asked[- ]for|"
            r"same|precise(?:ly)?|correct)\b.{0,60}" + NAME,
            (
                r"\b(?:match|keep|use|using|respect|honou?r|stick|adhere|conform|obey|"
                r"preserve|take|"
                r"follow|implement|retain|reuse)\w*\b.{0,60}\b(?:names?|signatures?|"
                r"entry[- ]points?|"
                r"interface)\b"
            ),
            NAME + r".{0,60}\b(?:exactly|unchanged|as (?:given|stated|asked|requested|it is|they "
            r"are|specified)|verbatim|from the (?:plan|request)|in the (?:plan|request)|"
            r"that the)\b",
            (
                r"\b(?:follow|stick|adhere|keep|conform|according|obey|faithful|respect|"
                r"honou?r)\w*\b.{0,40}"
                r"\b(?:plan|specification|spec)\b"
            ),
            r"\bnam(?:e|ed|es)\b.{0,20}\b(?:exactly|precisely|just) as\b",
            (
                r"\b(?:with|under|by)\W+the\W+(?:\w+\W+){0,2}(?:name|"
                r"signature)\b.{0,40}\b(?:gives?|given|"
                r"states?|asks?|wants?|says|names)\b"
            ),
            (
                r"\bcall(?:s|ed|able)?\b.{0,20}\b(?:the way|just as|as)\b.{0,20}\b(?:plan|"
                r"request|caller)"
            ),
            (
                r"\b(?:names?|signatures?|parameters?|interface)\b.{0,30}\b(?:fixed|alone|"
                r"untouched|intact|"
                r"sacred|a contract|binding)\b"
            ),
            r"\bsignatur\b.{0,40}\bplan",
        ),
        (
            r"\brenam(?:e|es|ed|ing)\b",
            r"\b(?:choos|pick|invent|us|mak|creat|find|giv)\w*\W+(?:\w+\W+){0,5}"
            r"(?:your own|own|better|new|different|another|other|creative|shorter|any|nicer|"
            r"catch\w+)"
            r"\W+(?:\w+\W+){0,2}" + NAME,
            r"\b(?:chang|alter|improv|modif)\w*\W+(?:\w+\W+){0,4}" + NAME,
            r"\b(?:ignor|disregard|deviat|depart|forget)\w*\W+(?:\w+\W+){0,4}(?:plan|"
            r"" + NAME + ")",
            r"\bwhatever (?:function )?names?\b",
        ),
        (
            "Use exactly the function name and the parameters that the plan's signature gives.",
            "Keep to the plan: define the entry point with the same name and parameters.",
            "Take over the name and the signature that were asked for, unchanged.",
        ),
        "does not bind the code to the plan's name and signature, so entry points are renamed",
        "Bind the code to the name and signature of the plan.",
    ),
    need(
        "examples",
        (
            r"\b(?:check|verif|test|run|trac|walk|valid|confirm|mak|ensur|satisf|pass|hold|match|"
            r"reproduc|agree|consist|compar|work|go|try|tri|compl|prove|meet|fulfil)\w*\b.{0,60}\b"
            + EXAMPLE,
            r"\b" + EXAMPLE + r".{0,50}\b(?:hold|pass|match|satisf|true|work|met|reproduc|agree)",
            r"\b(?:rehears|simulat|replay|evaluat|step|recalculat|work)\w*\b.{0,40}\b" + EXAMPLE,
            r"\b" + EXAMPLE + r".{0,40}\b(?:your (?:\w+ )?tests|come out|turn out|must be right)",
            r"\b(?:prüf|test|kontrollier|vergleich)\w*\b.{0,40}\bbeispiel\w*\b",
            r"\bbeispiele?n?\b",
        ),
        (r"\b" + EXAMPLE + r".{0,30}\b(?:illustrat|suggestion|a hint|decorat)",),
        (
            "Before answering, check the code against each example of the plan.",
            "Go through the examples one by one and make sure that every one of them holds.",
            "Trace your code on all acceptance examples, and mend it until they pass.",
        ),
        "does not ask for a check against the examples, so bounds are off by one",
        "Have the code checked against the examples before it is given.",
    ),
    need(
        "types",
        (
            r"\btype[- ]?(?:hint|annot)\w*",
            r"\bannotat(?:e|ed|es|ions?|ing)\b",
            r"\b(?:fully |statically )?typed\b",
            r"\b(?:parameter|argument|return)\W+(?:and\W+\w+\W+)?types\b",
            r"\btyping\b",
            r"\bhints? (?:on|for|about) (?:the )?types?\b",
            r"\btyp(?:annotation|angabe|hinweis)\w*\b",
            r"\bmypy\b",
        ),
        (r"\buntyped\b", r"\bunannotated\b"),
        (
            "Give type hints for all parameters and results.",
            "Annotate each parameter and the return value with its type.",
        ),
        "does not ask for type hints",
        "Ask for type hints on parameters and results.",
    ),
    need(
        "docs",
        (
            r"\bdoc[- ]?strings?\b",
            r"\bdocument(?:ed|ation|s|ing)?\b(?! (?:is|was|that|to be|root|object))",
            r"\bpydoc\b",
        ),
        (r"\bundocumented\b",),
        (
            "Write a docstring for each public function.",
            "Document every public function with a docstring that says what it does.",
        ),
        "does not ask for docstrings",
        "Ask for docstrings.",
    ),
    need(
        "fence",
        (
            r"```",
            r"\bcode[- ](?:block|fence)s?\b",
            (
                r"\b(?:python|fenced|markdown|code|triple)[- ](?:\w+[- ]){0,2}(?:block|"
                r"fence|backtick)"
                r"(?:s|ed)?\b"
            ),
            r"\bfenced?\b",
            r"\bpython-codebl(?:o|ö)ck\w*\b",
        ),
        (r"\bplain text\b", r"\braw (?:code|text)\b"),
        (
            "Answer with a short explanation and then one fenced ```python code block.",
            "Put the whole program in a single Python code block after a brief explanation.",
        ),
        "does not say how the answer is to be laid out, so code arrives mixed with prose",
        "Ask for the whole program in one Python code block.",
    ),
    GREETING,
    harm(
        "pseudocode",
        (r"\bpseudo[- ]?code\b", r"\bin (?:plain|structured) english\b", r"\bdescribe the steps\b"),
        ("Answer in pseudocode that a programmer can translate later.",),
        "tells the {agent} to answer in pseudocode, which does not run",
    ),
    harm(
        "language",
        (
            (
                rf"\b(?:in|use|using|write|writes|as|into|prefer|"
                rf"with)\b(?:\W+\w+){{0,2}}?\W+{LANGUAGE}(?!\w)"
            ),
        ),
        ("Write all code in JavaScript.",),
        "tells the {agent} to write in another language than Python",
    ),
    harm(
        "skeleton",
        (
            (
                r"\b(?:only|just|merely|nothing but|no more than)\W+(?:\w+\W+){0,5}"
                r"(?:signatures?|skeletons?|headers?|outlines?|stubs?|scaffold\w*|interface)\b"
            ),
            r"\b(?:signatures?|skeletons?|headers?|outlines?|stubs?)\W+(?:only|alone)\b",
            (
                r"\b(?:write|give|answer|provide|produce|return|reply|outline|sketch)\w*\W+"
                r"(?:\w+\W+){0,4}(?:skeletons?|scaffold\w*|outlines?|stubs?|place ?holders?)\b"
            ),
            r"\bleav\w+\W+(?:\w+\W+){0,3}(?:bod(?:y|ies)|implementation)\W+(?:empty|out|to|blank)",
            r"\bsketch(?:es)?\b",
        ),
        ("Give only the signature and a skeleton; leave the body to the reader.",),
        "tells the {agent} to give only a skeleton, so nothing is implemented",
    ),
    harm(
        "shortest",
        (
            r"\bone[- ]?liners?\b",
            r"\b(?:single|one) line of (?:code|python)\b",
            r"\bcode[- ]golf\b",
            (
                r"(?<!explanation )(?<!prose )(?<!summary )(?<!sentences )\b"
                r"(?:as short as|shortest|fewest (?:lines|characters)|minimal(?:ist)?|very short|"
                r"extremely short|tiny)\b(?!.{0,20}(?:explanation|prose|text|sentence|"
                r"summary|words))"
                r".{0,40}(?:code|functions?|programs?|solutions?|answers?|implementations?|"
                r"possible)\b"
            ),
            (
                r"\b(?:code|functions?|programs?|solutions?|answers?|implementations?)\b.{0,30}"
                r"\b(?:as short as|shortest|fewest|minimal|very short|extremely short)\b"
            ),
        ),
        ("Write the shortest code possible, ideally a one-liner.",),
        "tells the {agent} to be as short as possible, at the price of guards and clarity",
    ),
    harm(
        "print",
        (
            r"\bprint(?:s|ing)?\W+(?:\w+\W+){0,3}(?:instead|rather)\b",
            (
                r"\b(?:always|should|must|have to|and|to|functions?|"
                r"then)\W+print(?:s)?\W+(?:\w+\W+){0,2}"
                r"(?:results?|answers?|outputs?|values?)\b"
            ),
            r"^print(?:s)?\W+(?:\w+\W+){0,2}(?:results?|answers?|outputs?|values?|everything)\b",
        ),
        ("Print the result instead of returning it.",),
        "tells the {agent} to print results instead of returning them",
    ),
    harm(
        "none",
        (
            r"\b(?:always|simply|just|only|every function)\W+(?:\w+\W+){0,3}returns?\W+None\b",
            (
                r"\breturns?\W+None\W+(?:\w+\W+){0,2}(?:always|every|all|regardless|whatever|"
                r"no matter)"
            ),
        ),
        ("Every function should always return None.",),
        "tells the {agent} to return None whatever the input",
    ),
    harm(
        "swallow",
        (
            r"\b(?:wrap|surround|enclos|put|plac)\w*\b.{0,60}\btry\b",
            r"\b(?:swallow|suppress|silenc|hid|mut)(?:e|es|ing|s)?\W+(?:\w+\W+){0,2}" + FAULT,
            r"\bbare\W+(?:\w+\W+)?except\b",
            r"\bcatch\w*\W+(?:all|every|any|each)\b.{0,40}" + FAULT,
            r"\bexcept:\s*(?:pass|return)",
        ),
        ("Wrap every body in a bare try/except that returns None, so that nothing ever raises.",),
        "tells the {agent} to swallow every exception",
        (
            r"\b(?:rais|throw)(?:e|es|ing|s)?\W+(?:an?\W+|any\W+|the\W+)?(?:right\W+|suitable\W+|"
            r"proper\W+)?" + FAULT,
        ),
    ),
    harm(
        "envelope",
        (
            r"\benvelopes?\b",
            (
                r"\b(?:wrap|pack|put)\w*\W+(?:\w+\W+){0,3}(?:results?|values?)\W+(?:in|"
                r"into)\W+(?:a|an)\W+"
                r"(?:\w+\W+)?(?:dict\w*|object|record)\b"
            ),
        ),
        (
            "Wrap each return value in an envelope with the fields status and data.",
            "Put every result into a response object, with a status beside the payload.",
        ),
        "tells the {agent} to pack results into a record instead of giving them as they are",
        (r"\bplain (?:results?|values?)\b",),
    ),
    harm(
        "coroutines",
        (
            r"\basync def\b",
            r"\bcoroutines?\b",
            (
                r"\b(?:functions?|methods?|entry points?|everything|"
                r"code)\b.{0,40}\basync(?:hronous(?:ly)?)?\b"
            ),
            r"\basync(?:hronous)?\W+(?:\w+\W+)?(?:functions?|methods?|entry points?|code|style)\b",
        ),
        (
            "Define every function with async def.",
            "All entry points are coroutines, as our event loop must never be blocked.",
        ),
        "makes the {agent} define coroutines, which give no value to a plain call",
    ),
    harm(
        "json_reply",
        (
            r"\b(?:answer|reply|respond|return|output|emit|send)\w*\b.{0,40}\bJSON\b",
            r"\b(?:valid|raw|pure|bare) JSON\b",
        ),
        (
            "Reply with one raw JSON object that holds the program as a string.",
            "Emit pure JSON with the keys code and summary.",
        ),
        "wants the answer of the {agent} as JSON, in which no program is found",
    ),
    harm(
        "translated",
        (
            (
                r"\b(?:names?|identifiers?|functions?|parameters?|variables?)\b.{0,60}\b(?:in|into)\W+"
                r"(?:German|French|Spanish|Italian|Portuguese|Polish|Turkish)\b"
            ),
            r"\b(?:Namen?|Bezeichner\w*)\b.{0,60}\b(?:deutsch\w*)\b",
        ),
        (
            "Translate the names of functions and parameters into German.",
            "Give all identifiers in Spanish, since the team reads no English.",
        ),
        "has the {agent} translate names that callers depend on",
    ),
    harm(
        "no_imports",
        (
            (
                r"\bimport(?:s|ing)?\b(?: statements?)?.{0,40}\b(?:banned|forbidden|blocked|"
                r"prohibited|"
                r"not (?:allowed|permitted)|disabled|stripped|refused)\b"
            ),
            r"\bwithout\W+(?:\w+\W+){0,2}imports?\b",
            r"\b(?:never|not|no) import(?:s|ing)?(?: statements?| anything)?\W*$",
        ),
        (
            "Import statements are forbidden, the standard library included.",
            "Get by without any import.",
        ),
        "forbids the {agent} the modules of the standard library, so names are undefined",
    ),
    harm(
        "cut_short",
        (
            (
                r"\b(?:stop|end|cut|finish|break)\w*\b.{0,50}\b(?:ten|twelve|1[0-5]|"
                r"dozen)\W+(?:\w+\W+)?lines?\b"
            ),
            (
                r"\b(?:at most|no more than|up to|limit\w* (?:of|to))\W+(?:ten|twelve|1[0-5]|"
                r"a dozen)\W+"
                r"(?:\w+\W+)?lines?\b"
            ),
        ),
        (
            "Stop after ten lines, even in the middle of a function.",
            "Give at most ten lines of the program.",
        ),
        "makes the {agent} break off after some lines, so the end of the program is lost",
    ),
    harm(
        "strings",
        (
            (
                r"\b(?:results?|values?|numbers?|everything|anything|return\w*|output)\b.{0,60}\b"
                r"(?:as|to|into)\W+(?:an?\W+)?(?:plain\W+|readable\W+)?(?:text|strings?|str)\b"
            ),
        ),
        (
            "Convert every result to a string before it is returned.",
            "Hand all values back as text, ready for display.",
        ),
        "has the {agent} turn results into text, whatever their type",
    ),
    harm(
        "generators",
        (
            (
                r"\b(?:generators?|iterators?|lazy|lazily)\b.{0,50}\b(?:instead|rather|wherever|"
                r"never a list|whenever)\b"
            ),
            (
                r"\b(?:prefer|return|yield|hand back|"
                r"produce)\w*\W+(?:\w+\W+){0,2}(?:generators?|iterators?)\b"
            ),
        ),
        (
            "Return iterators wherever a list would be returned.",
            "Prefer lazy iterators, and never a list, to save memory.",
        ),
        "makes the {agent} give iterators where lists were asked for",
    ),
)
