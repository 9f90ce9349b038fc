"""The weights that a run leaves: whole or not at all; what rounds them rounds nothing else."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins.precision import HalfPrecision

from mta_lab.training import tensors
from mta_lab.training.module import DecoderModule
from mta_lab.training.run import train
from tests.training.recorder import recording
from tests.training.test_synthetic import configure


def test_they_are_the_models_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "weights" / "run.pt"
    with recording() as seen:
        train(configure({"attention": "multi_token", "model.layers": 4}), None, weights=file)
    assert seen.model is not None
    kept, end = tensors.read(file), seen.model.state_dict()
    assert kept.keys() == end.keys() == seen.start.keys()
    assert [name for name in end if not torch.equal(kept[name], end[name])] == []
    assert [name for name in end if torch.equal(kept[name], seen.start[name])] == []  # every parameter has learned
    assert [path.name for path in file.parent.iterdir()] == ["run.pt"]


def test_a_disk_that_takes_none_fails_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    result = train(configure(), None, weights=tmp_path / "file" / "run.pt", say=said.append)
    assert len(result.validations) == 2
    (line,) = said
    assert line.startswith(f"cannot keep the weights in {tmp_path / 'file' / 'run.pt'} (")


def test_a_run_that_is_stopped_leaves_none(tmp_path: Path) -> None:
    assert train(configure(), None, lambda _: True, weights=tmp_path / "run.pt").stopped_early
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_was_there_is_replaced(tmp_path: Path) -> None:
    for name in ("run.pt", "run.pt.1.tmp", "other.pt.1.tmp"):
        (tmp_path / name).write_bytes(b"half")
    tensors.write(tmp_path / "run.pt", {"a": torch.ones(2)})
    assert tensors.read(tmp_path / "run.pt")["a"].tolist() == [1.0, 1.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.pt.1.tmp", "run.pt"]


def test_what_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path) -> None:
    tensors.write(tmp_path / "run.pt", {"a": torch.ones(2)})
    with pytest.raises(Exception, match="pickle"):
        tensors.write(tmp_path / "run.pt", {"a": torch.zeros(2), "b": lambda: 0})
    assert tensors.read(tmp_path / "run.pt")["a"].tolist() == [1.0, 1.0]
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


def test_a_file_that_holds_code_is_not_read(tmp_path: Path) -> None:
    torch.save(tmp_path, tmp_path / "run.pt")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        tensors.read(tmp_path / "run.pt")


def test_lightnings_true_half_precisions_round_the_weights_alone() -> None:
    for precision, dtype in (("bf16-true", torch.bfloat16), ("16-true", torch.float16)):
        module = DecoderModule(configure(), ("held out",))
        table = module.model.get_buffer("rotary").clone()
        plugin = HalfPrecision(precision)  # type: ignore[arg-type]
        with plugin.module_init_context():
            built_so = DecoderModule(configure(), ("held out",)).model
        for model in (plugin.convert_module(module).get_submodule("model"), built_so):
            assert {parameter.dtype for parameter in model.parameters()} == {dtype}
            assert torch.equal(model.get_buffer("rotary"), table)
