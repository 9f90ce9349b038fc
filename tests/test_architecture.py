"""The rooms of the house and the one-way doors between them, read from the import statements."""

import ast
import graphlib
import importlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from components import FAMILIES
from components.metrics import METRICS
from mta_lab.cli.app import app

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "components": {"components"},
    "errors": {"masking"},
    "masking": set(),
    "children": set(),
    "words": {"errors"},
    "atomic": {"errors"},
    "strict": set(),
    "identity": set(),
    "workspace": {"errors"},
    "locks": {"atomic", "strict", "words", "workspace"},
    "config": {"components", "errors", "identity", "strict", "workspace"},
    "plugins": {"components", "errors"},
    "admission": {"components", "config", "devices", "errors"},
    "results": {"atomic", "components", "config", "errors", "identity", "strict", "workspace"},
    "devices": {"children", "config", "errors", "plugins"},
    "provenance": {"devices", "identity"},
    "sweep": {"components", "config", "errors", "plugins", "results", "words"},
    "generation": {"components", "errors"},
    "model": {"components", "config", "errors", "generation"},
    "data": {"atomic", "children", "config", "errors", "locks", "strict", "words", "workspace"},
    "training": {"atomic", "components", "config", "data", "devices", "errors", "model"},
    "evaluation": {"atomic", "components", "config", "data", "errors", "model", "results", "stats", "strict"},
    "harness": {"atomic", "children", "components", "config", "data", "errors", "evaluation", "generation", "model"}
    | {"results", "stats"},
    "precision": {
        "children",
        "components",
        "config",
        "devices",
        "errors",
        "model",
        "results",
        "strict",
        "training",
        "workspace",
    },
    "scheduling": {"config", "errors", "locks", "strict", "sweep", "workspace"},
    "tracking": {
        "components",
        "config",
        "errors",
        "results",
        "training",
        "words",
        "workspace",
    },  # of training only result types
    "stats": {"errors"},
    "planning": {
        "admission",
        "config",
        "data",
        "devices",
        "errors",
        "model",
        "provenance",
        "results",
        "sweep",
        "training",
        "words",
        "workspace",
    },
    "executors": {"atomic", "children", "config", "devices", "errors", "masking", "plugins", "results", "strict"}
    | {"data", "provenance", "training", "words", "workspace"},
    "launch": {
        "atomic",
        "config",
        "data",
        "devices",
        "errors",
        "executors",
        "locks",
        "masking",
        "planning",
        "provenance",
    }
    | {"results", "scheduling", "strict", "sweep", "tracking", "training", "words", "workspace"},
    "bench": {
        "children",
        "components",
        "config",
        "devices",
        "errors",
        "generation",
        "model",
        "plugins",
        "results",
        "stats",
        "sweep",
    }
    | {"theme", "training", "words"},
    "gpu_check": {"atomic", "bench", "children", "components", "config", "devices", "errors", "model", "planning"}
    | {"provenance", "results", "training", "words", "workspace"},
    "theme": {"atomic", "errors"},
    "report": {
        "components",
        "config",
        "errors",
        "identity",
        "model",
        "results",
        "stats",
        "strict",
        "sweep",
        "theme",
        "workspace",
    }
    | {"words"},
    "huggingface": {"atomic", "components", "config", "errors", "model", "results", "training"},
    "testing": {"components", "errors", "plugins"},
    "pictures": {"components", "config", "data", "errors", "model", "results", "theme", "training", "workspace"},
}
MAY_IMPORT["lab"] = set(MAY_IMPORT)
ORACLES = {"components", "testing"}  # rooms that may know the shipped variants
SOLE_IMPORTERS = {"optuna": "scheduling", "mlflow": "tracking", "lightning": "training", "ray": "executors",
                  "transformers": "huggingface", "safetensors": "huggingface", "lm_eval": "harness"}  # fmt: skip


def imports(file: Path) -> Iterator[str]:
    """The dotted names of everything that `file` imports, inside functions too."""
    yield from imported(ast.walk(ast.parse(file.read_text(encoding="utf-8"))), file)


def imports_when_run(file: Path) -> Iterator[str]:
    """Yield the names that `file` imports when it runs: without those under `if TYPE_CHECKING`."""
    nodes = [*ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    checked = [node for node in nodes if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    unread = {inner for node in checked for part in node.body for inner in ast.walk(part)}
    yield from imported((node for node in nodes if node not in unread), file)


def imported(nodes: Iterable[ast.AST], file: Path) -> Iterator[str]:
    """Yield the dotted names that import statements among the nodes name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    """`mta_lab.config.schema` -> `config`; any other name -> its first part."""
    parts = name.split(".")
    return parts[1] if parts[0] == "mta_lab" and len(parts) > 1 else parts[0]


FILES = [(file, room_of(".".join(file.relative_to(ROOT).with_suffix("").parts)))
         for package in ("components", "mta_lab") for file in sorted((ROOT / package).rglob("*.py"))]  # fmt: skip
MODULES = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file, _ in FILES}
IMPORTS = [(file, room, name) for file, room in FILES for name in imports(file)]


LATE = 15  # imports inside functions, at most


def late_imports(file: Path) -> list[ast.AST]:
    """Return the import statements inside functions of `file`."""
    functions = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                 if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]  # fmt: skip
    return [
        node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def test_few_imports_are_late() -> None:
    """Each has its reason on its line, behind the `noqa` that Ruff asks for."""
    late = [f"{file.relative_to(ROOT)}:{node.lineno}" for file, _ in FILES for node in late_imports(file)]
    assert 0 < len(late) <= LATE, late


def imported_with(file: Path) -> set[str]:
    """Return our modules that are imported whenever `file` is.

    Late imports do not count, nor those for types alone.
    """
    late = set(imported(late_imports(file), file))
    names = {name if name in MODULES else name.rpartition(".")[0] for name in {*imports_when_run(file)} - late}
    return names & MODULES.keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = graphlib.TopologicalSorter({name: imported_with(file) for name, file in MODULES.items()})
    order.prepare()  # raises CycleError, which names the modules of a circle


QUESTIONS = ("How ", "What ", "When ", "Where ", "Whether ", "Which ", "Who ", "Why ")


def test_docstrings_begin_with_no_question_word() -> None:
    """A docstring says what is done or is there: "Return whether ...", not "Whether ..."."""
    folders = ("components", "mta_lab", "sweeps", "tests")
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    texts = [(file, ast.get_docstring(node) or "") for file in files
             for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
             if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]  # fmt: skip
    assert not [f"{file.relative_to(ROOT)}: {text}" for file, text in texts if text.startswith(QUESTIONS)]


def test_every_room_is_known() -> None:
    assert {room for _, room in FILES} - {"cli", "__init__", "__main__"} == set(MAY_IMPORT)


def test_imports_go_one_way() -> None:
    rooms = set(MAY_IMPORT) | {"cli"}
    wrong = [f"{file.relative_to(ROOT)} imports {name}" for file, room, name in IMPORTS
             if room in MAY_IMPORT and room_of(name) in rooms - MAY_IMPORT[room] - {room}]  # fmt: skip
    assert not wrong


SHARED_BY_COMMANDS = {"__init__", "app", "arguments", "bars", "completion", "output", "printable", "terminal"}
PRINTING = {"cli", "errors", "lab", "words"}
BESIDE_THE_LAB = {
    "__init__": {"children"},
    "app": {"workspace"},
    "bars": {"launch"},
    "completion": {"strict"},
    "dashboard": {"children", "workspace"},
    "data": {"workspace"},
    "new": {"workspace"},
    "printable": {"masking"},
    "results": {"results"},
    "retry": {"workspace"},
    "status": {"launch", "results", "workspace"},
    "sync": {"launch", "results"},
}
"""by a file of the command line: the rooms that it may
import beside PRINTING; take out what is needed no more"""


def test_each_file_of_the_command_line_is_one_command_or_shared_by_several() -> None:
    """A file is named as its command: a function of that name, or the `app` of its subcommands.

    `data import` has a file of its own for its many options.
    """
    files = {file.stem for file, room in FILES if room == "cli"}
    strays = files - SHARED_BY_COMMANDS - {"data_import"} - {name.replace("-", "_") for name in commands()}
    assert not strays, f"name each of these as its command, or list it in SHARED_BY_COMMANDS: {strays}"
    modules = {name: importlib.import_module(f"mta_lab.cli.{name.replace('-', '_')}") for name in commands()}
    elsewhere = [name for name, module in modules.items()
                 if not hasattr(module, name.replace("-", "_")) and not hasattr(module, "app")]  # fmt: skip
    assert not elsewhere, f"give each of these commands a file of its name: {elsewhere}"


def commands() -> set[str]:
    """Return the names of all commands and groups of commands."""
    groups = {group.name for group in app.registered_groups if group.name}
    return groups | {command.name for command in app.registered_commands if command.name}


def test_the_command_line_leaves_the_work_to_the_lab() -> None:
    """It imports the lab and what it prints with; types for the type checker alone are free."""
    wrong = [
        f"cli/{file.name} imports {name}"
        for file, room in FILES
        if room == "cli"
        for name in imports_when_run(file)
        if room_of(name) in set(MAY_IMPORT) - PRINTING - BESIDE_THE_LAB.get(file.stem, set())
    ]
    assert not wrong, f"move the work into a function of mta_lab/lab, and call that: {wrong}"


MOST_PARAMETERS = 7


def test_no_public_function_has_many_parameters() -> None:
    """A command is the exception: it has a parameter for each of its options."""
    wide = [f"{file.relative_to(ROOT)}:{node.lineno} {node.name}: {count}" for file, room in FILES
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_"))
            and not (room == "cli" and node.name == file.stem)
            and (count := len(parameters(node))) > MOST_PARAMETERS]  # fmt: skip
    remedy = "leave one out, split the function, or give those that belong together a dataclass with a meaning"
    assert not wide, f"at most {MOST_PARAMETERS} parameters; {remedy}: {wide}"


def parameters(function: ast.FunctionDef) -> list[str]:
    """Return the names of a function's parameters, without `self`, `cls` and starred ones."""
    named = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return [parameter.arg for parameter in named if parameter.arg not in ("self", "cls")]


def test_only_the_tests_of_the_command_line_import_it() -> None:
    tests = [file for file in (ROOT / "tests").rglob("*.py") if "cli" not in file.relative_to(ROOT).parts[:-1]]
    assert [
        file
        for file in tests
        if file.name != Path(__file__).name and any(room_of(name) == "cli" for name in imports(file))
    ] == []


def test_components_need_only_torch_and_the_standard_library() -> None:
    allowed = {"components", "torch", *sys.stdlib_module_names}
    assert not [(file, name) for file, room, name in IMPORTS if room == "components" and room_of(name) not in allowed]


@pytest.mark.parametrize("library", SOLE_IMPORTERS)
def test_each_framework_has_one_importer(library: str) -> None:
    assert {room for _, room, name in IMPORTS if room_of(name) == library} == {SOLE_IMPORTERS[library]}


def test_a_run_on_one_device_loads_nothing_for_several() -> None:
    importers = {file.stem for file, _, name in IMPORTS if name.startswith("mta_lab.training.sharding")}
    assert importers == {"rank"}
    assert {file.stem for file, _, name in IMPORTS if name.startswith("torch.distributed")} == {"sharding"}


def test_tracking_knows_only_the_types_of_training() -> None:
    names = {name.rpartition(".")[0] for _, room, name in IMPORTS if room == "tracking" and room_of(name) == "training"}
    assert names <= {"mta_lab.training.result"}


@pytest.mark.parametrize("room", ["results", "report", "tracking"])
def test_what_shows_results_knows_only_the_metrics_of_components(room: str) -> None:
    names = {name.rpartition(".")[0] for _, here, name in IMPORTS if here == room and room_of(name) == "components"}
    assert names == {"components.metrics"}


def test_one_room_knows_devices() -> None:
    """Everything else asks `mta_lab.devices`, which a machine without a GPU can pretend."""
    apart = ("torch.cuda", "torch.accelerator", "torch.mps", "torch.xpu")
    wrong = [f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}" for file, room in FILES if room != "devices"
             for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
             if isinstance(node, ast.Attribute) and ast.unparse(node) in apart]  # fmt: skip
    assert not wrong


def test_nothing_asks_for_a_metric_by_its_name() -> None:
    """Its direction, scale and format are those of the `Metric`.

    A name in quotes outside its home asks for one.
    """
    homes = [ROOT / "components" / "metrics.py", *(ROOT / "components" / "evaluations").glob("*.py")]
    named = [f"{file.relative_to(ROOT)}:{node.lineno} {node.value}" for file, _ in FILES if file not in homes
             for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
             if isinstance(node, ast.Constant) and node.value in METRICS]  # fmt: skip
    assert not named


def test_measuring_the_precision_does_not_wait_for_lightning() -> None:
    names = {name.rpartition(".")[0] for _, room, name in IMPORTS if (room, room_of(name)) == ("precision", "training")}
    assert names == {"mta_lab.training.step"}


def test_the_engine_knows_no_variant_by_class() -> None:
    """All that it needs of a variant is a method of the family's contract, which a user's has, too.

    `testing` is the oracle of each shipped variant, and places components of every family in
    shipped ones.
    """
    variants = [cls for family in FAMILIES.values() for cls in family.registered() if cls.__module__.startswith("comp")]
    homes = {cls.__module__ for cls in variants}
    classes = {value for home in homes for value in vars(sys.modules[home]).values() if isinstance(value, type)}
    own = {cls for cls in classes if cls.__module__ in homes}
    wrong = []
    for file, room, name in IMPORTS:
        module, _, attribute = name.rpartition(".")
        found = vars(sys.modules[module]).get(attribute) if module in sys.modules else None
        if room not in ORACLES and (module in homes or name in homes or (isinstance(found, type) and found in own)):
            wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong


HEAVY = ("torch", "torch._dynamo", "lightning", "matplotlib", "mlflow", "optuna")
LOADED = """
import contextlib, io, sys
from mta_lab.cli import main
for line in sys.argv[1:]:
    sys.argv = ["mta-lab", *line.split()]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    print(len(out.getvalue()), end=" ")
names = {"torch._dynamo" if name == "torch._dynamo" else name.partition(".")[0] for name in sys.modules}
print(*sorted(names), "mta_lab.report" in sys.modules)
"""


def loaded_by(*commands: str, cwd: Path) -> list[str]:
    """Return how much each command printed, the packages then loaded, and if the report is."""
    arguments = [sys.executable, "-c", LOADED, *commands]
    done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


PATHS = {
    "launch.lock",
    "launch.json",
    "launch.slurm",
    "events.jsonl",
    "sweeps.json",
    "optuna.journal",
    "mlflow.db",
    "mlruns",
    "sqlite:///mlflow.db",
    ".cache",
    "XDG_CACHE_HOME",
}


def test_the_workspace_alone_says_where_things_are() -> None:
    """Benchmarks make workspaces of their own, and components have a cache of compiled kernels."""
    apart = ("workspace", "bench", "components")
    nodes = [(file, node) for file, room in FILES if room not in apart
             for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]  # fmt: skip
    spelled = [file for file, node in nodes if isinstance(node, ast.Constant) and node.value in PATHS]
    made = [file for file, node in nodes if ast.unparse(node) in ("Path('results')", "Path('data')")]
    assert not spelled + made


def test_help_leaves_heavy_libraries_alone(tmp_path: Path) -> None:
    printed, more, *loaded = loaded_by("--help", "sweep --help", cwd=tmp_path)
    assert min(int(printed), int(more)) > 100, "a command printed nothing: it did not run"
    assert not set(loaded) & set(HEAVY)


def test_status_answers_from_files_without_a_heavy_library(tmp_path: Path) -> None:
    printed, *loaded = loaded_by("status", cwd=tmp_path)
    assert int(printed) > 50, "the command printed nothing: it did not run"
    assert not set(loaded) & {*HEAVY, "numpy", "omegaconf"}


def test_records_are_read_and_identified_without_torch() -> None:
    code = "import sys, mta_lab.results.records, mta_lab.identity; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_plan_and_report_leave_training_and_tracking_alone(tmp_path: Path) -> None:
    printed, _, *loaded, report = loaded_by(
        "sweep language_modeling --dry-run", "report language_modeling", cwd=tmp_path
    )
    assert int(printed) > 100, "the command printed nothing: it did not run"
    assert report == "True"
    assert not set(loaded) & (set(HEAVY) - {"torch"})
