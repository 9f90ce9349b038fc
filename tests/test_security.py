"""Attacks through a sweep file, an address or a file on disk, all of which fail."""

import ast
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.planning.runs import runs_of
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.launch.sweeps import write_sweep
from tests.report import examples

TOY = {
    "task": {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12},
    "model": {"vocabulary": 28},
    "training": {"schedule": "constant"},
}
ROOT = Path(__file__).parents[1]


def test_a_python_tag_in_a_sweep_is_one_clear_error_and_runs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "evil.yaml"
    file.write_text(f"title: !!python/object/apply:os.system ['touch {tmp_path}/ran']\nrows: {{a: {{}}}}\n")
    with pytest.raises(UserError, match=r"not a YAML file that can be read.*python/object/apply:os.system") as raised:
        load_sweep(str(file), scale="nano")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ran").exists()


def calls(tree: ast.AST) -> "list[tuple[str, ast.Call]]":
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


OWN_WORKERS = {ROOT / "mta_lab/executors/ray/pool.py": "pickle.loads"}
"""no data: what a launch's own workers tell it by calls of Ray, which are pickles anyway"""


def test_no_code_is_loaded_from_data() -> None:
    """No pickle, no unsafe YAML, no eval.

    torch.load reads only weights, and numpy.load no objects.
    """
    never = {"eval", "exec", "pickle.load", "pickle.loads", "Unpickler", "pickle.Unpickler", "joblib.load"}
    never |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "dill.load", "shelve.open", "marshal.loads"}
    for file in [*(ROOT / "mta_lab").rglob("*.py"), *(ROOT / "components").rglob("*.py")]:
        for name, call in calls(ast.parse(file.read_text(encoding="utf-8"))):
            settings = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert name not in never or OWN_WORKERS.get(file) == name, f"{file}:{call.lineno}"
            assert name != "torch.load" or settings.get("weights_only") == "True", f"{file}:{call.lineno}"
            assert settings.get("allow_pickle", "False") == "False", f"{file}:{call.lineno}"


def test_names_in_a_sweep_are_no_paths(tmp_path: Path) -> None:
    """The one name that reaches a file's name is the fingerprint, and its form is fixed."""
    rows = {"../../x": {"attention": "softmax"}, "/etc/y": {"attention": "talking_heads"}}
    file = write_sweep(tmp_path / "names.yaml", rows, **TOY)
    sweep = load_sweep(str(file), scale="nano")
    assert [row.name for row in sweep.rows] == list(rows)
    tasks = runs_of(sweep, pytest.fail)
    records = Records(tmp_path / "inner" / "results")
    for task in tasks:
        records.finish(examples.example_record(task.fingerprint, 9.0, task.config))
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"names.yaml", *(f"{task.fingerprint}.json" for task in tasks)}
    assert all(set(task.fingerprint) <= set("0123456789abcdef") for task in tasks)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", ""])
def test_a_record_outside_its_directory_is_not_read_or_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        Records(tmp_path).finished(name)


def test_a_title_of_several_lines_is_one_line(tmp_path: Path) -> None:
    file = write_sweep(tmp_path / "title.yaml", {"a": {"attention": "softmax"}})
    file.write_text(file.read_text().replace('"Title"', '"one\\n\\n# two\\e[2J\\r three"'))
    assert load_sweep(str(file), scale="nano").title == "one # two[2J three"
