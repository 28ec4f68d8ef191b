"""What the pages tell people to type: commands that parse, Python that runs, extras, links."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import tomllib

from made_once import MadeOnce
from pegasus_engines.command import build
from pegasus_engines.targets import check_available
from pegasus_export.command import options as export_options
from pegasus_runtime import Summarizer
from pegasus_runtime.commands import answer, classify, doctor, features, generate
from pegasus_runtime.commands.options import make_parser
from pegasus_serve.process import arguments as serve_arguments

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    *(
        REPOSITORY / name
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
    ),
    REPOSITORY / "plugins" / "README.md",
    REPOSITORY / "examples" / "README.md",
    REPOSITORY / "examples" / "serve" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
)
WITHOUT_COMMANDS = {  # of ours: what these pages tell has none, or is typed to make and python
    "README.md of plugins",
    "README.md of examples",
    "README.md of serve",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "api.md",
    "architecture.md",
    "contributing.md",
    "embedding.md",
    "faithfulness.md",
    "ray.md",
    "speed.md",
}
PARSERS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "pegasus-export": export_options.make_parser,
    "pegasus-build": build.make_parser,
    "pegasus-summarize": make_parser,
    "pegasus-classify": classify._parser,
    "pegasus-answer": answer._parser,
    "pegasus-edge": doctor._parser,
    "pegasus-features": features._parser,
    "pegasus-generate": generate._parser,
    "pegasus-serve": serve_arguments.make_parser,
}
FOREIGN_OPTIONS = {"--system-site-packages", "--help"}  # in running text, not ours or everybody's
FOREIGN_COMMANDS = (
    "python ",
    "python3 ",
    "make ",
    "cmake ",
    "npm ",
    "pytest ",
    "trtexec ",
    "optimum-cli ",
    "ct2-transformers-converter ",
)

BUNDLES = {  # as the examples call them -> the tiny checkpoint's architecture
    "xsum": "PegasusForConditionalGeneration",
    "xsum-int4": "PegasusForConditionalGeneration",
    "arxiv": "BigBirdPegasusForConditionalGeneration",
    "topics": "BigBirdPegasusForSequenceClassification",
    "answers": "BigBirdPegasusForQuestionAnswering",
    "features": "PegasusModel",
    "stories": "PegasusForCausalLM",
}
NEEDS_GPU = "xsum-rtx"
NEEDS_CLUSTER = "pegasus_ray"  # tests/ray_cluster have one
FOREIGN_MESSAGES = {  # CUDA's, and Linux's
    "… failed with cudaErrorInsufficientDriver …",
    "… cudaErrorNoDevice …",
    "Killed",
}
SOURCES = ("exporter", "engines", "plugins", "runtime", "tests", "benchmarks", "examples", "docs")
HISTORY = {"studies.md"}  # names programs at the commits that have them
RULED_OUT = {"utils.py", "helpers.py", "common.py"}  # named where the pages say that there are none

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FIGURES = re.compile(r"<!-- figures: .*?<!-- /figures -->", re.DOTALL)  # name what made them then
_SHELL = ("console", "bash", "sh")
_ENDS_COMMAND = {"|", "||", "&&", ";", ">", "<"}


def code_blocks(text: str, *languages: str) -> list[str]:
    """The contents of the fenced blocks in these languages."""
    return [content for language, content in _FENCE.findall(text) if language in languages]


def shell_lines(block: str) -> Iterator[str]:
    """What is typed in a block: lines after a prompt, or all where none has one, continued ones
    joined."""
    lines = re.sub(r"\\\n\s*", " ", block).splitlines()
    lines = [line.strip() for line in lines]
    has_prompt = any(line.startswith("$ ") for line in lines)
    for line in lines:
        if not has_prompt:
            yield line
        elif line.startswith("$ "):
            yield line[2:]


def find_commands(text: str) -> list[list[str]]:
    """The words of every command of ours in the shell blocks of a document."""
    found = []
    for block in code_blocks(text, *_SHELL):
        for line in shell_lines(block):
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if word not in _ENDS_COMMAND:
                    words.append(word)
                    continue
                if words and words[0] in PARSERS:
                    found.append(words)
                words = []
    return found


def parse_command(words: list[str]) -> argparse.Namespace:
    """Parses a command as the program would, but takes no abbreviations of options.

    Raises: SystemExit where it would refuse it.
    """
    command, *arguments = words
    parser = PARSERS[command]()
    parser.allow_abbrev = False
    if command in ("pegasus-export", "pegasus-build"):
        return parser.parse_args(arguments)
    return parser.parse_intermixed_args(arguments)


def page_name(path: Path) -> str:
    """Its file's name, and its folder where another folder has that name."""
    is_of_package = path.parent.name in ("plugins", "examples", "serve")
    return f"{path.name} of {path.parent.name}" if is_of_package else path.name


def documented_commands() -> list[tuple[str, list[str]]]:
    return [
        (page_name(path), words)
        for path in DOCUMENTS
        for words in find_commands(path.read_text("utf-8"))
    ]


def explained_messages(text: str) -> list[str]:
    """The first column of the tables that explain messages, but for what others say."""
    tables = re.findall(r"^\| message \|.*\n(?:\|.*\n)*", text, re.MULTILINE)
    cells = [row.split("|")[1].strip() for table in tables for row in table.splitlines()[2:]]
    messages = [re.findall(r"`([^`]+)`", cell)[0] for cell in cells]
    return [message for message in messages if message not in FOREIGN_MESSAGES]


def texts_of(source: str) -> Iterator[str]:
    """All texts of a module, with … for what is put into them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [x.value if isinstance(x, ast.Constant) else "…" for x in node.values]
            yield "".join(map(str, parts))


def runs_of_words(message: str) -> list[str]:
    """All runs of three words of a message, or of two: those without a name or a figure are said
    somewhere as they are."""
    parts = [part.split() for part in message.split("…")]
    length = min(3, max(map(len, parts)))
    return [
        " ".join(words[start : start + length])
        for words in parts
        for start in range(len(words) - length + 1)
    ]


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    prose = _FENCE.sub("", text)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("document", "words"), documented_commands())
def test_a_documented_command_has_options_that_exist(
    document: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        parse_command(words)
    except SystemExit as ended:  # an option that prints something, and ends with 0, does exist
        if ended.code:
            pytest.fail(f"{document}: {shlex.join(words)}: {capsys.readouterr().err}")


@pytest.mark.parametrize(
    ("document", "words"), [x for x in documented_commands() if x[1][0] == "pegasus-export"]
)
def test_a_documented_export_names_a_source_an_output_and_what_can_be_built(
    document: str, words: list[str]
) -> None:
    arguments = parse_command(words)
    is_there = (arguments.push or arguments.triton) and arguments.output and not arguments.model
    if is_there or arguments.list_cache or arguments.clear_cache:
        return
    assert (arguments.model is None) != (arguments.build is None), (document, words)
    if arguments.model is not None:
        assert arguments.output is not None, (document, words)
        check_available(arguments.target, arguments.precision)


@pytest.mark.parametrize("path", DOCUMENTS, ids=page_name)
def test_every_document_has_commands_of_ours(path: Path) -> None:
    has_commands = bool(find_commands(path.read_text("utf-8")))
    assert has_commands == (page_name(path) not in WITHOUT_COMMANDS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=page_name)
def test_an_option_in_running_text_belongs_to_one_of_the_commands(path: Path) -> None:
    known = {
        option
        for make in PARSERS.values()
        for action in make()._actions
        for option in action.option_strings
    }
    prose = _FENCE.sub("", path.read_text("utf-8"))
    inline = [
        code for code in re.findall(r"`([^`]+)`", prose) if not code.startswith(FOREIGN_COMMANDS)
    ]
    named = {option for code in inline for option in re.findall(r"(?<![\w-])--[a-z0-9-]+", code)}
    assert named - known - FOREIGN_OPTIONS == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=page_name)
def test_an_extra_that_is_installed_exists(path: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [
        line
        for block in code_blocks(path.read_text("utf-8"), *_SHELL)
        for line in shell_lines(block)
        if line.startswith("pip install")
    ]
    groups = [group for line in lines for group in re.findall(r"\[([\w,-]+)\]", line)]
    named = {name for group in groups for name in group.split(",")}
    assert named - set(project["optional-dependencies"]) == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=page_name)
def test_python_in_a_document_imports_and_loads_what_is_there(path: Path) -> None:
    for block in code_blocks(path.read_text("utf-8"), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert [x.name for x in node.names if not hasattr(module, x.name)] == []
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Summarizer.load":
                known = inspect.signature(Summarizer.load).parameters
                assert [x.arg for x in node.keywords if x.arg not in known] == []


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{page_name(path)} {number}")
        for path in DOCUMENTS
        for number, block in enumerate(code_blocks(path.read_text("utf-8"), "python"), 1)
    ],
)
def test_python_in_a_document_runs_as_it_stands(
    block: str,
    tiny_bundle: Callable[..., Path],
    tiny_checkpoint: Callable[..., Path],
    made_once: MadeOnce,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = compile(block, "example", "exec")
    if NEEDS_GPU in block or NEEDS_CLUSTER in block:
        return
    for name, architecture in BUNDLES.items():
        if f'"{name}"' in block:
            (tmp_path / name).symlink_to(tiny_bundle(architecture))
    if '"app/' in block:
        made = made_once.export(
            model=str(tiny_checkpoint()), target="onnx", generate=True, text=True
        )
        (tmp_path / "app").symlink_to(made.bundle.folder)
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "1.txt").write_text("The old miller sold a red boat in March.")
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "__main__"})


@pytest.mark.parametrize("path", DOCUMENTS, ids=page_name)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), target
        if anchor:
            assert anchor in headings(linked.read_text("utf-8")), target


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if page_name(path) not in HISTORY], ids=page_name
)
def test_a_source_file_that_is_named_in_running_text_is_there(path: Path) -> None:
    sources = [
        f"/{file.relative_to(REPOSITORY)}"
        for folder in SOURCES
        for file in (REPOSITORY / folder).rglob("*.py")
    ]
    prose = _FENCE.sub("", _FIGURES.sub("", path.read_text("utf-8")))
    named = {
        word
        for code in re.findall(r"`([^`]+)`", prose)
        for word in code.split()
        if re.fullmatch(r"[\w/]+\.py", word)
    }
    assert [x for x in named - RULED_OUT if not any(y.endswith(f"/{x}") for y in sources)] == []


def test_a_message_that_is_explained_is_one_of_ours() -> None:
    ours = "\n".join(
        said
        for folder in ("exporter", "engines", "plugins", "runtime")
        for file in (REPOSITORY / folder).rglob("*.py")
        for said in texts_of(file.read_text("utf-8"))
    )
    explained = [
        (page_name(path), message)
        for path in DOCUMENTS
        for message in explained_messages(path.read_text("utf-8"))
    ]
    assert len(explained) > 20
    assert [x for x in explained if not any(run in ours for run in runs_of_words(x[1]))] == []


def test_commands_are_found_behind_prompts_pipes_and_continued_lines() -> None:
    text = (
        "```console\n$ cat a.txt | pegasus-summarize b --json  # all of it\nA summary.\n"
        "$ pegasus-export --model m \\\n      --output o\n```\n"
        "```bash\npegasus-summarize b 'a file.txt'\n```\n```python\npegasus-export\n```\n"
    )
    assert find_commands(text) == [
        ["pegasus-summarize", "b", "--json"],
        ["pegasus-export", "--model", "m", "--output", "o"],
        ["pegasus-summarize", "b", "a file.txt"],
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["pegasus-export", "--model", "m", "--output", "o", "--workspace", "64"],
        ["pegasus-export", "--model", "m", "--compute-capability", "sm_89"],
        ["pegasus-summarize", "b", "--provider", "gpu"],
    ],
)
def test_a_command_that_the_program_refuses_does_not_parse(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse_command(words)
