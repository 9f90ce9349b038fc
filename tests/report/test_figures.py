"""The figures of a table, and their files."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mta_lab.report.figures import FIGURES, figures
from mta_lab.report.figures.heat import kernel_grid
from mta_lab.report.figures.pareto import Point, clear_front, front
from mta_lab.sweep import load_sweep
from mta_lab.theme.style import inline, save, styled
from tests.report.examples import AGAIN, CLEAR, WITH_CONTROL, example_sweep, renamed, table_of, with_rows

COSTS = {"wide": {"flops_per_token": 900.0}, "narrow": {"flops_per_token": 1100.0}}


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with styled():
        yield


def test_a_whole_table_has_every_figure_but_those_of_factors_searches_and_questions(tmp_path: Path) -> None:
    sweep = example_sweep(tmp_path, WITH_CONTROL)
    table = table_of(tmp_path, {**CLEAR, **AGAIN}, sweep=sweep, changes=COSTS)
    missing = ("effects", "heat", "tuning", "trials", "needles", "facts")
    assert list(figures(table, 7.0)) == [name for name in FIGURES if name not in missing]


def test_points_and_intervals_are_the_tables(tmp_path: Path) -> None:
    table = table_of(tmp_path, CLEAR)
    ours, theirs = figures(table, 7.0)["forest"].axes
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ours.lines if len(line.get_xdata()) == 1]
    intervals = [tuple(line.get_xdata()) for line in ours.lines if line.get_linewidth() == 1.2]
    contrasts = [row.measured.contrast for row in table.rows[1:]]
    assert points == [(found.delta, place) for place, found in enumerate(contrasts) if found]
    assert intervals == [(found.low, found.high) for found in contrasts if found]
    assert [line.get_xdata()[0] for line in theirs.lines if len(line.get_xdata()) == 1] == [
        table.rows[2].published.delta
    ]
    noise = table.comparison.noise["softmax"].deviation
    assert {(band.get_x(), band.get_width()) for band in ours.patches} == {(-noise, 2 * noise)}


def test_a_run_of_no_steps_has_no_curve(tmp_path: Path) -> None:
    changes = {"wide": {"validations": [[0, 28.0]], "training_seconds": None}}
    titles = [
        axes.get_title("left") for axes in figures(table_of(tmp_path, CLEAR, changes=changes), 7.0)["curves"].axes
    ]
    assert "narrow" in titles
    assert "wide" not in titles


@pytest.mark.parametrize("scores", [{}, {"softmax": {0: 30.0}}, {"wide": {0: 28.0, 1: 28.1}}])
def test_a_table_with_gaps_draws_what_it_has(scores: dict[str, dict[int, float]], tmp_path: Path) -> None:
    drawn = figures(table_of(tmp_path, scores, {("narrow", 0): "killed"}), 4.0)
    assert set(drawn) == ({"curves"} if scores else set())


def test_a_grid_of_kernels_is_recognised(tmp_path: Path) -> None:
    grid = load_sweep("kernel_grid", scale="nano")
    scores = {row.name: {0: 30.0 + place, 1: 30.3 + place, 2: 29.9} for place, row in enumerate(grid.rows)}
    table = table_of(tmp_path, scores, sweep=grid)
    found = kernel_grid(table)
    assert {f"{c_q}x{c_k}": row for (c_q, c_k), row in found.items()} == {
        row.name: row.measured for row in table.rows if row.name != "transformer"
    }
    (axes,) = figures(table, 7.0)["heat"].axes
    texts = [text.get_text() for text in axes.texts]
    assert "baseline" in texts
    assert f"{found[6, 11].contrast.delta:+.2%}" in texts
    assert kernel_grid(table_of(tmp_path / "line", {}, sweep=load_sweep("kernel_sizes", scale="nano"))) == {}


def test_the_front_is_what_nothing_beats() -> None:
    assert front([(1, 5), (2, 3), (2, 4), (3, 3), (4, 1)]) == [0, 1, 4]


def point(cost: float, loss: float, *, reach: float = 0.1) -> Point:
    """A row whose loss has an interval of `reach` to either side."""
    return Point(cost=cost, loss=loss, interval=(loss - reach, loss + reach))


FAR_APART = [point(1, 5), point(2, 3), point(3, 4)]


def test_a_front_is_drawn_where_intervals_leave_no_doubt() -> None:
    assert clear_front(FAR_APART) == [0, 1]
    assert clear_front([point(1, 5), point(1, 6)]) == [0]


@pytest.mark.parametrize(
    "doubt",
    [
        [*FAR_APART, Point(cost=4, loss=6, interval=None)],
        [point(1, 5), point(2, 3), point(3, 3.1)],
        [point(1, 3.1), point(2, 3)],
    ],
    ids=["no interval", "off the front", "on the front"],
)
def test_no_front_where_overlapping_intervals_or_few_runs_decide_it(doubt: list[Point]) -> None:
    assert clear_front(doubt) == []


def test_intervals_are_drawn_and_a_clear_front_is_joined(tmp_path: Path) -> None:
    scores = {"softmax": {0: 30.0, 1: 30.1}, "narrow": {0: 28.0, 1: 28.1}, "wide": {0: 29.0, 1: 29.1}}
    flops = {"softmax": 500.0, "narrow": 700.0, "wide": 900.0}
    changes = {row: {"flops_per_token": one} for row, one in flops.items()}
    table = table_of(tmp_path, scores, sweep=example_sweep(tmp_path), changes=changes)
    figure = FIGURES["pareto"](table, 8.0)
    assert figure
    joined, *rest = figure.axes[0].lines
    assert joined.get_xydata().tolist() == [[500.0, 30.05], [700.0, 28.05]]
    bars = {line.get_xdata()[0]: line.get_ydata() for line in rest if len(line.get_xydata()) == 2}
    contrast = table.rows[1].measured.contrast
    assert bars[700.0][0] == pytest.approx(28.05 * (1 + contrast.low) / (1 + contrast.delta))
    assert bars[700.0][1] == pytest.approx(28.05 * (1 + contrast.high) / (1 + contrast.delta))


def test_rows_of_several_baselines_have_no_front(tmp_path: Path) -> None:
    """A delta from one baseline says nothing beside a delta from another."""
    sweep = with_rows(example_sweep(tmp_path), wide={"baseline": "narrow"})
    figure = FIGURES["pareto"](table_of(tmp_path, CLEAR, sweep=sweep), 8.0)
    assert figure
    assert figure.axes[0].lines[0].get_xydata().size == 0


@pytest.mark.parametrize("width", [4.0, 7.0])
def test_names_of_a_crowded_front_lie_on_no_mark_and_no_other_name(width: float, tmp_path: Path) -> None:
    scores = {"softmax": {0: 30.0, 1: 30.4}, "narrow": {0: 29.9, 1: 30.3}, "wide": {0: 29.8, 1: 30.2}}
    changes = {row: {"flops_per_token": 1000.0 - 3 * place} for place, row in enumerate(scores)}
    long = {row: f"{row} and twenty letters" for row in scores}
    table = table_of(tmp_path, {**scores, "again": {0: 32.0}}, sweep=example_sweep(tmp_path, WITH_CONTROL),
                     changes={**changes, "again": {"flops_per_token": 900.0}})  # fmt: skip
    figure = FIGURES["pareto"](renamed(table, long), width)
    assert figure
    figure.draw_without_rendering()  # as it is written
    assert {text.get_text() for text in figure.axes[0].texts} == {*long.values(), "again"}
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        for box in boxes:
            assert box.count_overlaps(boxes) == 1, "itself alone"
            assert all(axes.bbox.contains(*corner) for corner in box.corners())
            for mark in (line for line in axes.lines if len(line.get_xydata()) == 1):
                assert not box.count_contains(mark.get_transform().transform(mark.get_xydata()))


@pytest.mark.parametrize("scores", [(197.0, 201.0), (28.0, 36.0), (11.2, 11.4), (20.0, 900.0)])
def test_an_axis_of_perplexities_has_at_least_two_labels(scores: tuple[float, float], tmp_path: Path) -> None:
    course = {"validations": [[256, scores[1]], [1024, scores[0]]]}
    table = table_of(tmp_path, CLEAR, changes=dict.fromkeys(CLEAR, course))
    figure = FIGURES["curves"](table, 7.0)
    assert figure
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    labels = [label.get_text() for label, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
              if low <= place <= high]  # fmt: skip
    assert len(set(labels)) >= 2
    assert "" not in labels


def test_error_rates_are_drawn(tmp_path: Path) -> None:
    grid = load_sweep("toy_task", scale="nano")
    rates = {row.name: {0: 0.1 * place / 2, 1: 0.05 * place} for place, row in enumerate(grid.rows)}
    table = table_of(tmp_path / "toy", rates, sweep=replace(grid, seeds=(0, 1)))
    assert {"forest", "curves", "gains"} <= set(figures(table, 7.0))


def test_files_have_their_fonts_in_them(tmp_path: Path) -> None:
    figure = FIGURES["forest"](table_of(tmp_path, CLEAR), 7.0)
    assert figure
    for name in ("a.pdf", "b.pdf", "a.svg", "a.png"):
        save(figure, tmp_path / name)
    pdf, again, svg, png = ((tmp_path / name).read_bytes() for name in ("a.pdf", "b.pdf", "a.svg", "a.png"))
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert again == pdf
    assert b"<text" not in svg
    assert png.startswith(b"\x89PNG")


def test_a_page_gives_the_colours_and_texts_are_escaped(tmp_path: Path) -> None:
    name = '$<b>&"é$'
    table = renamed(table_of(tmp_path, CLEAR), {"wide": name})
    for which, figure in figures(table, 4.0).items():
        svg = inline(figure, which)
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#ffffff"}, which
        assert "<b>" not in svg
        drawn = ElementTree.fromstring(svg)
        assert any(name in (text.text or "") for text in drawn.iter("{http://www.w3.org/2000/svg}text")), which
