"""`mta-lab plan --device`: what a table takes on a GPU that is not here."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_a_table_of_the_paper_has_times_and_memory(lab: Command, tmp_path: Path) -> None:
    done = lab("plan", "components", "--scale", "paper-880m", "--device", "h100")
    assert (done.status, done.err) == (0, "")
    said = " ".join(done.out.split())
    assert "unknown" not in said
    for words in ("Estimated by arithmetic for h100", "Nothing was measured", "(peak x 0.4)", "Memory of a step"):
        assert words in said
    assert "Micro-batch: " in said
    assert "105G training tokens, 120 tokens a parameter" in said
    assert "multi_token 9.5" in said  # the paper's own, beside what the arithmetic leaves out
    assert "device-hours for 63 runs: " in said
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_does_not_fit_says_what_helps(lab: Command) -> None:
    said = " ".join(lab("plan", "language_modeling", "--scale", "paper-880m", "--device", "rtx4090").out.split())
    assert "it does not fit; training.recompute=blocks takes 15." in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--device", "h10"), "did you mean 'h100'?"),
        (("--device", "h100", "--workers", "2"), "--workers: is of this machine"),
        (("--device", "memory=80GB,tf32=1e12"), "says no fp32"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(arguments: tuple[str, ...], says: str, lab: Command) -> None:
    assert says in lab("plan", "kernel_sizes", *arguments).complaint
