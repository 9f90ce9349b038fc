"""Every mark of every figure: its place, colour and text under a pointer are its row's."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mta_lab.report import Table
from mta_lab.report.figures import FIGURES
from mta_lab.report.figures.pareto import COSTS, front
from mta_lab.report.table import TableRow
from mta_lab.sweep import load_sweep
from mta_lab.sweep.search import Searched, Tried
from mta_lab.sweep.tune import Curve, Point, Tune, Tuning
from mta_lab.theme.style import BETTER, INK, MUTED, WORSE, inline, save, styled
from tests.report.examples import asked, asked_facts, example_sweep, table_of

QUERIES, KEYS = (1, 2, 4), (1, 3, 5, 7, 9)
GRID = """
title: A grid that is not square
base: {attention: {name: multi_token, pre_softmax: [key_query], post_softmax: [], norm: depth}}
baseline: softmax
seeds: 3
rows:
  softmax: {attention: softmax}
""" + "".join(
    f"  q{q} k{k}: {{attention.pre_softmax: [{{name: key_query, kernel: [{q}, {k}]}}]}}\n"
    for q in QUERIES
    for k in KEYS
)


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with styled():
        yield


RATES = (4e-3, 8e-3, 16e-3)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Sixteen rows, each with its own difference, speed and domains, some of them unresolved."""
    folder = tmp_path_factory.mktemp("grid")
    sweep = example_sweep(folder, GRID)
    means = {row.name: 30.0 + (place * 7 % 16 - 6) / 9 for place, row in enumerate(sweep.rows)}
    luck = {name: (place * 11 % 5 - 2) / 10 for place, name in enumerate(means)}
    scores = {name: {0: mean, 1: mean + 0.3 + luck[name], 2: mean - 0.2 - luck[name]} for name, mean in means.items()}
    changes = {
        row.name: {
            "flops_per_token": 1600.0 - 37 * (place * 5 % 16),
            "domains": {"github": 20.0 + place, "wikipedia": 40.0 - place},
            "validations": [[256, 40.0 + place], [512, 35.0 - place / 3], [1024, means[row.name]]],
            "evaluated": {"aaaa": asked(place / 16), "bbbb": asked_facts(place / 16)},
        }
        for place, row in enumerate(sweep.rows)
    }
    made = table_of(folder, scores, sweep=replace(sweep, tuning=tuned(means)), changes=changes)
    return replace(made, searched={sweep.rows[0].name: tried()})


def tuned(means: dict[str, float]) -> Tuning:
    """Each row is best at the middle of three rates."""
    curves = {
        row: Curve(
            bracket=RATES,
            points=tuple(
                Point(value=rate, score=mean + worse, loss=mean + worse)
                for rate, worse in zip(RATES, (1, 0, 2), strict=True)
            ),
        )
        for row, mean in means.items()
    }
    return Tuning(Tune(key="training.learning_rate"), curves)


def tried() -> Searched:
    """The middle one of three trials is the best."""
    trials = [
        Tried(number=place, values={"training.learning_rate": rate}, score=31.0 - place % 2, state="complete")
        for place, rate in enumerate(RATES)
    ]
    return Searched(trials=trials, importance={})


def drawn(table: Table, name: str) -> list[Axes]:
    figure = FIGURES[name](table, 8.0)
    assert figure
    return figure.axes


def points(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if len(line.get_xdata()) == 1]


def said_of(artist: Line2D | Rectangle) -> str:
    return str(artist.get_gid()).removeprefix("hover: ")


def better_or_worse(delta: float) -> str:
    return BETTER if delta < 0 else WORSE


def compared(table: Table) -> list[TableRow]:
    return [row for row in table.rows if row.measured.role != "baseline"]


def test_forest_has_each_rows_difference_at_its_name(table: Table) -> None:
    (axes,) = drawn(table, "forest")
    rows = compared(table)
    assert {row.measured.resolved for row in rows} == {True, False}
    assert [label.get_text() for label in axes.get_yticklabels()] == [row.name for row in rows]
    for height, point, row in zip(axes.get_yticks(), points(axes), rows, strict=True):
        contrast = row.measured.contrast
        assert contrast
        assert point.get_xydata().tolist() == [[contrast.delta, height]]
        wanted = better_or_worse(contrast.delta) if row.measured.resolved else MUTED
        assert to_hex(point.get_color()) == wanted
        assert said_of(point).startswith(f"{row.name}: {contrast.delta:+.2%} [{contrast.low:+.2%}, ")
        assert said_of(point).endswith(f", {row.measured.verdict}")


def test_heat_has_each_kernel_at_its_queries_and_keys(table: Table) -> None:
    (axes,) = drawn(table, "heat")
    across, down = ([label.get_text() for label in side()] for side in (axes.get_xticklabels, axes.get_yticklabels))
    assert (across, down) == (list(map(str, KEYS)), list(map(str, QUERIES)))
    by_name = {row.name: row.measured.contrast for row in compared(table)}
    filled = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_facecolor()[3] > 0]
    assert len(filled) == len(by_name) == 15
    most = max(abs(contrast.delta) for contrast in by_name.values() if contrast)
    for patch in filled:
        column, line = int(patch.get_x()), int(patch.get_y())
        name = f"q{QUERIES[line]} k{KEYS[column]}"
        contrast = by_name[name]
        assert contrast
        assert said_of(patch).startswith(f"{name}: {contrast.delta:+.2%}")
        assert to_hex(patch.get_facecolor()) == better_or_worse(contrast.delta)
        assert patch.get_facecolor()[3] == pytest.approx(0.75 * abs(contrast.delta) / most)
        (text,) = [text for text in axes.texts if text.get_position() == (column + 0.5, line + 0.5)]
        assert text.get_text() == f"{contrast.delta:+.2%}"
        resolved = next(row.measured.resolved for row in table.rows if row.name == name)
        assert text.get_weight() == ("bold" if resolved else "normal")
    top, bottom = (axes.transData.transform((0, y))[1] for y in (0.5, len(QUERIES) - 0.5))
    assert top > bottom, "the first number of queries stands at the top, as its label does"


def test_pareto_has_each_row_at_its_cost_and_mean(table: Table) -> None:
    (axes,) = [axes for axes in drawn(table, "pareto") if axes.get_xlabel().startswith("operations")]
    costs = [(row.measured.cost.flops_per_token, row.measured.mean) for row in table.rows]  # type: ignore[operator]
    ahead = {table.rows[place].name for place in front(costs)}  # type: ignore[arg-type]
    assert "flops_per_token" in COSTS
    assert 1 < len(ahead) < len(table.rows)
    assert axes.lines[0].get_xydata().size == 0, "intervals overlap here: no front"
    for point, row in zip(points(axes), table.rows, strict=True):
        assert point.get_xydata().tolist() == [[row.measured.cost.flops_per_token, row.measured.mean]]
        baseline = row.measured.role == "baseline"
        assert to_hex(point.get_color()) == (INK if baseline else MUTED)
        assert point.get_marker() == ("D" if baseline else "o")
        for seed, score in row.measured.scores.items():
            assert f"seed {seed}: {score:.2f}" in said_of(point)
    assert {text.get_text() for text in axes.texts} == ahead | {"softmax"}


def test_domains_have_each_rows_difference_in_its_panel(table: Table) -> None:
    panels = drawn(table, "domains")
    base, rows = table.rows[0].measured.domains, compared(table)
    assert [axes.get_title(loc="left") for axes in panels] == ["github", "wikipedia"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == [row.name for row in rows]
    for axes, domain in zip(panels, base, strict=True):
        for height, (point, row) in enumerate(zip(points(axes), rows, strict=True)):
            delta = row.measured.domains[domain] / base[domain] - 1
            assert point.get_xydata().tolist() == [[delta, height]]
            assert to_hex(point.get_color()) == better_or_worse(delta)
            assert said_of(point) == f"{row.name}, {domain}: {delta:+.2%}"


@pytest.mark.parametrize("name", ["curves", "gains"])
def test_curves_end_at_their_rows_values_under_their_rows_names(name: str, table: Table) -> None:
    rows = table.rows if name == "curves" else compared(table)
    base = [score for _, score in table.rows[0].measured.records[0].validations]
    panels = [axes for axes in drawn(table, name) if axes.get_visible()]
    for axes, row in zip(panels, rows, strict=True):
        assert axes.get_title(loc="left") == row.name
        steps, scores = zip(*row.measured.records[0].validations, strict=True)
        wanted = scores if name == "curves" else [ours / theirs - 1 for ours, theirs in zip(scores, base, strict=True)]
        (line,) = [line for line in axes.lines if line.get_gid()]
        assert line.get_xdata().tolist() == list(steps)
        assert line.get_ydata().tolist() == pytest.approx(list(wanted))
        usual = INK if row.measured.role == "baseline" else BETTER
        assert to_hex(line.get_color()) == (usual if name == "curves" else better_or_worse(wanted[-1]))
        assert said_of(line).startswith(f"{row.name}{':' if name == 'curves' else ','} ")


@pytest.mark.parametrize("name", [name for name in FIGURES])
def test_what_marks_say_is_in_the_svg_of_page_and_file_without_scripts(name: str, table: Table, tmp_path: Path) -> None:
    figure = FIGURES[name](table, 8.0)
    assert figure
    on_page = inline(figure, name)
    save(figure, tmp_path / "figure.svg")
    wanted = {said_of(artist) for axes in figure.axes for artist in (*axes.lines, *axes.patches) if artist.get_gid()}
    assert wanted
    for text in (on_page, (tmp_path / "figure.svg").read_text()):
        ElementTree.fromstring(text)
        assert wanted <= {unescape(title) for title in re.findall("<g><title>(.*?)</title>", text)}
        assert "<script" not in text
        assert "hover:" not in text


def test_each_rows_best_value_is_a_full_point_on_its_curve(table: Table) -> None:
    for axes, row in zip(drawn(table, "tuning"), table.rows, strict=True):
        *_, curve, best = axes.lines
        assert list(curve.get_xdata()) == list(RATES)
        assert [best.get_xdata()[0], best.get_ydata()[0]] == [RATES[1], pytest.approx(min(curve.get_ydata()))]
        assert said_of(curve).startswith(f"{row.name}: 0.004: ")


def test_a_shipped_grid_is_read_as_its_rows_are_called(tmp_path: Path) -> None:
    grid = load_sweep("kernel_grid", scale="nano")
    scores = {row.name: {0: 30.0 + place, 1: 30.3 + place, 2: 29.9} for place, row in enumerate(grid.rows)}
    (axes,) = drawn(table_of(tmp_path, scores, sweep=grid), "heat")
    across, down = ([label.get_text() for label in side()] for side in (axes.get_xticklabels, axes.get_yticklabels))
    for patch in axes.patches:
        assert isinstance(patch, Rectangle)
        assert said_of(patch).startswith(f"{down[int(patch.get_y())]}x{across[int(patch.get_x())]}: ")
