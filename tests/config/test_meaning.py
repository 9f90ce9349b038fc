"""A component's computation is measured: a change of meaning moves the signature, new names do not.

Each edit is made in a copy of the shipped components, which a child process imports in their place.
"""
# ruff: noqa: E501, an edit stands in one line

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import components
from mta_lab.config import identity_of
from mta_lab.config.remembered import KEPT, cache_file, remembered
from tests.config.helpers import config, registry_restored

SUBJECTS = {
    "softmax": "AttentionMeaning(Softmax())",
    "dropout": "AttentionMeaning(Softmax(dropout=0.25))",
    "differential": "AttentionMeaning(Differential(dropout=0.25))",
    "mta": "AttentionMeaning(MultiToken())",
    "depth": "AttentionMeaning(MultiToken(pre_softmax=(KeyQuery(kernel=(2, 3), padding='left'),), norm=Depth()))",
    "exact": "AttentionMeaning(MultiToken(pre_softmax=(KeyQuery(mask='exact', init=Normal()),), norm=LayerNormBlock()))",
    "channel": "AttentionMeaning(MultiToken(post_softmax=(Joint(group=2),), norm=Gate(per='channel')))",
    "task": "TaskMeaning(FindBlock(blocks=4))",
}
"""what is measured of each copy: every shipped norm,
operation and task that an edit below touches is among them"""

MEASURE = f"""
import json, os, shutil, sys
import ruamel.yaml, torch  # once, before the children; they are slow
sources, folder, edits = json.loads(sys.stdin.read())

def measured(here):
    sys.path.insert(0, here)
    from components.attention import Differential, MultiToken, Softmax
    from components.kernel_init import Normal
    from components.norms import Depth, Gate, LayerNormBlock
    from components.score_ops import Joint, KeyQuery
    from components.tasks import FindBlock
    from mta_lab.config.meaning import attention_meaning, task_meaning as TaskMeaning
    AttentionMeaning = lambda attention: attention_meaning(attention, heads=4, layers=4)
    assert sys.modules["components"].__file__.startswith(here)
    return {{{", ".join(f'"{name}": {text}' for name, text in SUBJECTS.items())}}}

for name, (file, before, after) in edits.items():
    here = f"{{folder}}/{{len(os.listdir(folder))}}"
    shutil.copytree(sources, f"{{here}}/components", ignore=shutil.ignore_patterns("__pycache__", "*.cpp", "*.h"))
    if file:
        with open(f"{{here}}/components/{{file}}") as opened:
            text = opened.read()
        if before not in text:
            print(json.dumps([name, None]))
            continue
        with open(f"{{here}}/components/{{file}}", "w") as opened:
            opened.write(text.replace(before, after, 1))
    reading, writing = os.pipe()
    if not os.fork():
        with os.fdopen(writing, "w") as pipe:
            json.dump(measured(here), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        print(json.dumps([name, json.loads(pipe.read() or '"it did not run"')]))
    os.wait()
"""

MOVES = {
    "eps of the norms": ("norms/rms.py", "NORM_EPS = 1e-5", "NORM_EPS = 1e-6"),
    "what lambda starts from": ("norms/base.py", "0.8 - 0.6 *", "0.8 - 0.5 *"),
    "depth of the first layer": ("norms/base.py", "(layer - 1))", "layer)"),
    "scale of a norm": ("norms/rms.py", "self.weight * self.scale", "self.weight / self.scale"),
    "mask of a convolution": ("score_ops/key_query.py", "masked_fill(~visible_QK, 0.0)", "masked_fill(~visible_QK, 1e-3)"),
    "padding's offset": ("score_ops/key_query.py", '"left": 0', '"left": 1'),
    "std of a kernel": ("kernel_init/normal.py", "std: float = 0.3", "std: float = 0.301"),
    "std of the linear layers": ("initialise.py", "numel() ** -0.5", "numel() ** -0.51"),
    "std of lambda's vectors": ("attention/differential.py", "std=0.1", "std=0.11"),
    "start of a gate's bias": ("norms/gate.py", "nn.init.zeros_(self.bias)", "nn.init.constant_(self.bias, 0.1)"),
    "scale of the logits": ("kernels/eager.py", "shape[-1] ** -0.5", "shape[-1] ** -0.499"),
    "order of the operations": ("kernels/eager.py", "for op in ops.post:", "for op in reversed(ops.post):"),
    "values not masked again": ("kernels/eager.py", "    if ops.post:\n", "    if not ops.post:\n"),
    "dropout in evaluation": ("attention/core.py", "if self.training and self.dropout else", "if self.dropout else"),
    "no dropout": ("kernels/eager.py", "    if dropout:\n", "    if not dropout and dropout:\n"),
    "dropout of each head of a pair": ("attention/differential.py", "heads_a_mask = 2", "heads_a_mask = 1"),
    "rotation the other way": ("kernels/pointwise.py", "real_BTMc * cos_T1c - imaginary_BTMc", "real_BTMc * cos_T1c + imaginary_BTMc"),
    "angles of the rotary table": ("positions/rotary.py", "theta ** -(", "(theta + 900) ** -("),
    "a toy task's chances": ("tasks/find_block.py", "comb(L, k) *", "comb(L, k) ** 2 *"),
    "a toy task's end of a block": ("tasks/find_block.py", "(count, self.blocks, 1), DOT)", "(count, self.blocks, 1), HASH)"),
    "what is scored": ("tasks/find_block.py", "scored_BT[:, -self._answer_length :]", "scored_BT[:, -1:]"),
}  # fmt: skip
"""an edit of a shipped component that changes what a run
computes: the file, a text that is in it once, another"""

STAYS = {
    "docstring": ("norms/rms.py", "as a module (", "in a module of its own ("),
    "message": ("score_ops/head_mixing.py", "allowed: a divisor of the {heads} heads", "it has to divide {heads}"),
    "parameter's place in memory": ("score_ops/joint.py", "self.kernel = nn.Parameter(torch.empty(", "self.kernel = nn.Parameter(torch.zeros("),
    "private method": ("tasks/find_block.py", "def _draw(", "def _another(self, *arguments):\n        return self._draw(*arguments)\n\n    def _draw("),
    "local name": ("norms/rms.py", "    dtype = x.dtype if x.dtype == weight_d.dtype else torch.promote_types(x.dtype, weight_d.dtype)\n    return pointwise.rms_norm(widened(x), widened(weight_d), eps, compiled=compiled).to(dtype)", "    wider = x.dtype if x.dtype == weight_d.dtype else torch.promote_types(x.dtype, weight_d.dtype)\n    return pointwise.rms_norm(widened(x), widened(weight_d), eps, compiled=compiled).to(wider)"),
    "same arithmetic": ("norms/base.py", "0.8 - 0.6 * math.exp(-0.3 * (layer - 1))", "4 / 5 - 3 / 5 * math.exp((1 - layer) * 0.3)"),
    "another fast path": ("kernels/streaming.py", "BLOCK = 128", "BLOCK = 64"),
}  # fmt: skip
"""an edit that changes names, words or speed alone"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, str]]:
    """The signatures of the subjects, by edit; '' is the copy as it is."""
    edits = {"": ("", "", ""), **MOVES, **STAYS}
    given = json.dumps([str(Path(components.__file__).parent), str(tmp_path_factory.mktemp("copies")), edits])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(
        command, env=environment, input=given, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert "it did not run" not in found.values(), done.stderr
    return found


def of(edit: str, measured: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    assert measured[edit], f"{(MOVES | STAYS)[edit][0]} has no such text any more: write the edit '{edit}' anew"
    return measured[edit]


@pytest.mark.parametrize("edit", MOVES)
def test_an_edit_that_changes_what_is_computed_moves_the_signature(
    edit: str, measured: Mapping[str, Mapping[str, str]]
) -> None:
    assert [name for name in SUBJECTS if of(edit, measured)[name] != measured[""][name]]


@pytest.mark.parametrize("edit", STAYS)
def test_an_edit_of_names_words_or_speed_moves_nothing(edit: str, measured: Mapping[str, Mapping[str, str]]) -> None:
    assert of(edit, measured) == measured[""]


def test_every_subject_is_told_from_the_others(measured: Mapping[str, Mapping[str, str]]) -> None:
    assert len(set(measured[""].values())) == len(SUBJECTS)


def test_a_hundred_runs_of_one_attention_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the cache has a line for each measured attention and task."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    odd = "attention={name: talking_heads, dropout: 0.123}"  # of no other test in this process
    runs = [config(odd, f"seed={seed}", f"training.learning_rate={rate}") for seed in range(25) for rate in range(1, 5)]
    assert len({identity_of(run, "text").meaning for run in runs}) == 1
    file = cache_file()
    assert file
    measured = file.read_text().splitlines()
    assert len(measured) <= 2  # the attention, and the task unless this process had it


def test_a_value_that_another_process_kept_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, moved = tmp_path / "first", tmp_path / "moved"
    monkeypatch.setenv("XDG_CACHE_HOME", str(first))
    kept = remembered({"attention": "odd"}, lambda: "0123456789abcdef")
    shutil.copytree(first, moved)  # a file that this process has not read
    monkeypatch.setenv("XDG_CACHE_HOME", str(moved))
    assert remembered({"attention": "odd"}, lambda: pytest.fail("it was measured again")) == kept


def test_files_of_the_sources_of_long_ago_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cache_file()
    assert file
    file.parent.mkdir(parents=True)
    before = [file.with_name(f"meanings-{age}.txt") for age in range(KEPT + 3)]
    for age, old in enumerate(before):
        old.touch()
        os.utime(old, (1e9 - age, 1e9 - age))
    (other := file.with_name("precision.json")).touch()
    remembered({"attention": "odd"}, lambda: "0123456789abcdef")
    assert {*file.parent.iterdir()} == {file, other, *before[: KEPT - 1]}


def test_a_cache_that_is_damaged_or_cannot_be_written_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = (config(f"attention={{name: softmax, dropout: {rate}}}") for rate in ("0.234", "0.345"))
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(identity_of(run, "").meaning) == 16
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cache_file()
    assert file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\xff\xfe torn")
    assert len(identity_of(other, "").meaning) == 16


def another_users(file: Path) -> None:
    os.chown(file, 1234, -1)


def a_folder_of_another_user(file: Path) -> None:
    os.chown(file.parent, 1234, -1)


def open_to_all(file: Path) -> None:
    file.chmod(0o666)


def a_link(file: Path) -> None:
    file.symlink_to(file.rename(file.with_name("elsewhere")))


@pytest.mark.parametrize("given_away", [another_users, a_folder_of_another_user, open_to_all, a_link])
def test_a_value_that_somebody_else_could_have_written_is_measured_again(
    given_away: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given_away in (another_users, a_folder_of_another_user) and os.geteuid():
        pytest.skip("only root gives files away")
    first, moved = tmp_path / "first", tmp_path / "moved"
    monkeypatch.setenv("XDG_CACHE_HOME", str(first))
    remembered({"attention": "forged"}, lambda: "0" * 16)
    shutil.copytree(first, moved)
    monkeypatch.setenv("XDG_CACHE_HOME", str(moved))
    file = cache_file()
    assert file
    given_away(file)
    before = file.read_text()
    assert remembered({"attention": "forged"}, lambda: "1" * 16) == "1" * 16
    elsewhere = file.with_name("elsewhere")
    assert not elsewhere.exists() or elsewhere.read_text() == before


OWN = '''
"""A user's variant that ends the process which runs it."""
import os
from torch import nn
from components.attention import Attention, AttentionConfig
from components.registry import register


@register("attention", "deadly")
class Deadly(AttentionConfig):
    """Ends the process."""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return DeadlyAttention(width=width, heads=heads, dropout=self.dropout)


class DeadlyAttention(Attention):
    def attend(self, query_BMTd, key_BMTd, value_BMTd):
        os._exit(7)
'''


def test_a_users_component_is_known_by_its_code_and_not_run(tmp_path: Path) -> None:
    from mta_lab.plugins import load_components

    (tmp_path / "deadly.py").write_text(OWN)
    with registry_restored():
        load_components([tmp_path / "deadly.py"])
        found = identity_of(config("attention=deadly"), "text")
    assert found.meaning.startswith("code:")
    assert found.code
    assert identity_of(config("attention=softmax"), "text").code == ""
