"""Pictures of kernels and head matrices show what the weights say."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mta_lab.errors import UserError
from mta_lab.pictures.kernel_panels import curve_panel, kernel_panel, matrix_panel
from mta_lab.pictures.kernels import HeadMatrix, head_matrices, kernels
from mta_lab.pictures.output import Panel
from mta_lab.theme.style import styled
from tests.pictures.models import CONVOLUTION, MIXING, MTA, trained


def drawn(panel: Panel) -> list[Axes]:
    """The panel's axes, but for the scale."""
    figure = Figure(figsize=panel.size, layout="constrained")
    with styled():
        panel.draw(figure)
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.axison]


def image(ax: Axes) -> Any:
    return ax.images[0].get_array()


def test_each_kernel_is_drawn_as_it_lies_on_the_map() -> None:
    """Entry [a, k] of c_k keys acts on the query a before the place and the key k - c_k // 2.

    Both are counted back from it.
    """
    run = trained(MTA)
    state = run.model.state_dict()
    panels = drawn(kernel_panel(kernels(run)))
    names = [("0", "pre_softmax"), ("1", "pre_softmax"), ("1", "post_softmax")]
    assert len(panels) == len(names) * 4
    ends = set()
    for number, ax in enumerate(panels):
        layer, place = names[number // 4]
        weight = state[f"blocks.{layer}.attention.{place}.0.kernel"][number % 4]
        left, right, bottom, top = ax.images[0].get_extent()
        for a, row in enumerate(weight):
            for k, value in enumerate(row):
                query, key = -a, weight.shape[1] // 2 - k
                assert image(ax)[int(query - 0.5 - top + 0.5), int(key - left)] == value
        assert (right - left, bottom - top) == (weight.shape[1], weight.shape[0])
        assert ax.patches[0].get_xy() == (-0.5, -0.5)  # the frame of the place itself
        ends.add(ax.images[0].get_clim())
    (end,) = ends
    assert end[1] == -end[0] == max(kernel.values.abs().max() for kernel in kernels(run))


@pytest.mark.parametrize(("padding", "keys"), [("left", range(-3, 1)), ("right", range(0, 4)), ("both", range(-1, 3))])
def test_keys_are_on_the_side_where_the_kernel_reads(padding: str, keys: range) -> None:
    run = trained({**MTA, "pre_softmax": [{**CONVOLUTION, "padding": padding}], "post_softmax": []})
    found = kernels(run)[0]
    values = dict(zip(found.offsets[1], found.overlay()[-1].tolist(), strict=True))
    weight = run.model.state_dict()["blocks.0.attention.pre_softmax.0.kernel"][0, 0].tolist()
    assert [values[key] for key in keys] == weight[::-1]
    assert not any(value for key, value in values.items() if key not in keys)


def test_head_matrices_stand_on_the_diagonal_of_their_groups() -> None:
    run = trained(MTA)
    panels = drawn(matrix_panel(head_matrices(run)))
    assert [ax.get_title("left") for ax in panels][:2] == ["layer 1, before the softmax", "layer 2, before the softmax"]
    weight = run.model.state_dict()["blocks.1.attention.pre_softmax.1.matrix"]
    shown = np.ma.filled(image(panels[1]), np.nan)
    assert np.array_equal(shown[2:, 2:], weight[1].numpy())
    assert np.isnan(shown[:2, 2:]).all()


def test_curves_are_the_means_over_the_matrices() -> None:
    values = torch.tensor([[[2.0, -1.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, -1.0]]])
    matrix = HeadMatrix(layer=1, place="before", values=values)
    assert matrix.diagonal == (2 + 4 + 1 - 1) / 4
    assert matrix.ratio == pytest.approx(((1 + 3 + 0 + 0) / 4) / ((2 + 4 + 1 + 1) / 4))
    runs = {name: head_matrices(trained({**MTA, "norm": name})) for name in ("gate", "none")}
    means, ratios = drawn(curve_panel(runs))
    labels = [f"{name}, {place} the softmax" for name in runs for place in ("before", "after")]
    assert [line.get_label() for line in means.lines if not line.get_label().startswith("_")] == labels
    for line, ratio, (name, place) in zip(
        means.lines, ratios.lines, [(name, place) for name in runs for place in ("before", "after")], strict=False
    ):
        found = [matrix for matrix in runs[name] if matrix.place == place]
        assert list(line.get_ydata()) == [matrix.diagonal for matrix in found]
        assert list(ratio.get_ydata()) == [matrix.ratio for matrix in found]


def test_two_matrices_at_one_place_are_drawn_apart() -> None:
    """A joint kernel has a matrix as well: neither hides the other, and each has a curve."""
    joint = {"name": "joint", "kernel": [2, 3], "layers": "all"}
    run = trained({"name": "multi_token", "pre_softmax": [joint, "head_mixing"], "post_softmax": [], "norm": "none"})
    matrices = head_matrices(run)
    assert {matrix.number for matrix in matrices} == {1, 2}
    panels = [ax for ax in drawn(matrix_panel(matrices)) if ax.axison]
    assert [len(ax.images) for ax in panels] == [1] * len(matrices)
    assert len({ax.get_title(loc="left") for ax in panels}) == len(matrices)
    means, _ = drawn(curve_panel({"mine": matrices}))
    labels = [line.get_label() for line in means.lines if not line.get_label().startswith("_")]
    assert labels == ["mine, before the softmax (1)", "mine, before the softmax (2)"]


def test_a_joint_kernel_shows_what_each_head_reads_of_each_other() -> None:
    joint = {"name": "joint", "kernel": [2, 3], "group": 2, "layers": [2]}
    run = trained({"name": "multi_token", "pre_softmax": [joint], "post_softmax": [], "norm": "none"})
    weight = run.model.state_dict()["blocks.1.attention.pre_softmax.0.kernel"]
    found = {(kernel.head, kernel.reads): kernel for kernel in kernels(run)}
    assert set(found) == {(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (3, 4), (4, 3), (4, 4)}
    assert torch.equal(found[3, 4].values, weight[1, 0, 1])
    (matrix,) = head_matrices(run)
    assert torch.equal(matrix.values, weight[..., 0, 1])
    assert len(drawn(kernel_panel(kernels(run)))) == 8


def test_differential_attention_is_a_matrix_for_each_pair() -> None:
    first = head_matrices(trained("differential"))[0]
    assert first.values.shape == (2, 2, 2)
    assert (first.values[:, :, 0] == 1).all()
    assert kernels(trained("differential")) == []


@pytest.mark.parametrize("attention", ["softmax", {"name": "multi_token", "pre_softmax": [], "post_softmax": []}])
def test_a_model_without_operations_is_told(attention: Any) -> None:
    with pytest.raises(UserError, match="has no kernel and no head matrix"):
        kernels(trained(attention))


def test_a_group_of_one_has_no_ratio() -> None:
    run = trained({**MTA, "pre_softmax": [{**MIXING, "group": 1}]})
    assert np.isnan(head_matrices(run)[0].ratio)
