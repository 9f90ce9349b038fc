"""The maps that are drawn are those that the model computes with."""

from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from components.tasks import FindBlock
from mta_lab.errors import UserError
from mta_lab.pictures.map_panels import choose, map_panel, telling
from mta_lab.pictures.maps import LayerMaps, attention_maps
from mta_lab.pictures.reading import Reading, drawn, read_text
from mta_lab.pictures.trained import Trained
from mta_lab.theme.style import styled
from tests.pictures.models import MTA, config_of, trained

VARIANTS = {
    "mta": MTA,
    "mta, exact masking": {**MTA, "pre_softmax": [{"name": "key_query", "mask": "exact", "layers": "all"}]},
    "joint": {"name": "multi_token", "pre_softmax": [{"name": "joint", "layers": "all"}], "post_softmax": []},
    "talking heads": "talking_heads",
    "differential": "differential",
    "softmax": "softmax",
}
TASK = FindBlock(letters=3, blocks=3)


def values_and_outputs(run: Trained, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return each layer's values [M, T, d] and its attention before the norm.

    Both are from a plain forward pass.
    """
    seen: list[Tensor] = []
    hooks = []
    for _, attention in run.layers():
        hooks.append(attention.value.register_forward_hook(lambda *call: seen.append(call[-1].detach())))
        hooks.append(attention.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach())))
    with torch.no_grad():
        run.model(tokens[None])
    for hook in hooks:
        hook.remove()
    heads = run.config.model.heads
    values = [value[0].unflatten(-1, (heads, -1)).transpose(0, 1) for value in seen[0::2]]
    return list(zip(values, [output[0] for output in seen[1::2]], strict=True))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_map_times_the_values_is_what_the_fast_path_computes(name: str) -> None:
    run = trained(VARIANTS[name])
    tokens = drawn(TASK, 0).tokens
    maps, logits = attention_maps(run, tokens)
    assert {attention.ran.name for _, attention in run.layers() if attention.ran} - {"eager", "own"}
    for layer, (values, outputs) in zip(maps, values_and_outputs(run, tokens), strict=True):
        assert torch.allclose(layer.after @ values, outputs, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(run.model(tokens[None])[0], logits)  # nobody listens any more, and nothing has changed


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_sum_to_one_where_nothing_changes_the_weights(name: str) -> None:
    run = trained(VARIANTS[name])
    maps, _ = attention_maps(run, drawn(TASK, 0).tokens)
    for one, (_, attention) in zip(maps, run.layers(), strict=True):
        assert torch.allclose(one.before.sum(-1), torch.ones(()), atol=1e-5)
        assert (one.before.triu(1) == 0).all()
        assert (one.after.triu(1) == 0).all()
        summing = torch.allclose(one.after.sum(-1), torch.ones(()), atol=1e-5)
        assert summing == (not len(attention.post_softmax))
        assert torch.equal(one.before, one.after) == (not one.operations)


@pytest.mark.parametrize("answer", ["all", "first", "last"])
def test_the_block_that_is_marked_is_the_one_that_is_asked_for(answer: Any) -> None:
    for seed in range(20):
        task = FindBlock(letters=4, blocks=5, answer=answer)
        reading = drawn(task, seed)
        block = "".join(reading.labels[place] for place in reading.target)
        asked, right = reading.text.partition("#")[2].split(" -> ")
        assert set(asked) <= set(block)
        assert right == {"all": block, "first": block[0], "last": block[-1]}[answer]
        assert len(reading.queries) == len(right)
        assert "".join(reading.labels)[reading.queries.start - 1 :].startswith(asked)
        assert len(reading.labels) == len(reading.tokens) == task.context
        assert reading.answer is not None
        assert reading.answer[:-1].equal(reading.tokens[reading.queries.start + 1 :])


def test_a_text_of_ones_own_is_marked_where_it_asks_for_one_block() -> None:
    reading = read_text("abc.def.ghi#fd", config_of("softmax"), None)
    assert (reading.target, reading.queries) == (range(4, 7), range(13, 14))
    for text in ("abc.def", "abc.abd#ab", "abc.def#ax", "abc.def#a"):
        assert not read_text(text, config_of("softmax"), None).target


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "at least one token"), ("a" * 21, "got 21 tokens, allowed: up to the 20"), ("abc.DEF", "got 'D'")],
)
def test_a_text_that_the_model_cannot_read_is_told(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_text(text, config_of("softmax"), None)


def maps_of(layer: int, after: Tensor, *operations: str) -> LayerMaps:
    before = torch.eye(after.shape[-1]).expand_as(after)
    return LayerMaps(layer=layer, before=before, after=after, operations=operations)


def test_the_most_telling_head_looks_at_the_block_where_it_has_to_be_found() -> None:
    plain, looking = torch.eye(5).repeat(2, 1, 1), torch.eye(5).repeat(2, 1, 1)
    looking[1, 3] = torch.tensor([0.1, 0.7, 0.2, 0.0, 0.0])
    looking[0, 4] = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])  # at the next query: copied
    reading = Reading(tokens=torch.arange(5), labels=tuple("abcde"), text="", target=range(0, 2), queries=range(3, 5))
    maps = [maps_of(1, plain, "x"), maps_of(2, looking, "x"), maps_of(3, looking)]
    numbers = telling(maps, reading)
    assert numbers["before the operations"].tolist() == [[0.0, 0.0]] * 3
    assert numbers["after the operations"].tolist() == [
        [0.0, 0.0],
        [0.0, pytest.approx(0.8)],
        [0.0, pytest.approx(0.8)],
    ]
    assert vars(choose(maps, reading, None, None)) == {"layer": 2, "head": 2}
    assert vars(choose(maps, reading, 3, 1)) == {"layer": 3, "head": 1}
    assert vars(choose(maps, reading, 3, None)) == {"layer": 3, "head": 2}
    assert vars(choose(maps, reading, None, 1)) == {"layer": 1, "head": 1}
    unmarked = Reading(tokens=torch.arange(5), labels=tuple("abcde"), text="")
    (moved,) = telling(maps, unmarked).values()
    assert moved[1].tolist() == [pytest.approx(1 / 5), pytest.approx(1 / 5)]  # of one row of five, all
    with pytest.raises(UserError, match="--head: got 3, allowed: 1 to 2"):
        choose(maps, reading, None, 3)


def test_the_panel_shows_both_maps_with_their_tokens() -> None:
    run, reading = trained(MTA), drawn(TASK, 3)
    maps, _ = attention_maps(run, reading.tokens)
    panel, figure = map_panel(maps[1], 2, reading), Figure(layout="constrained")
    with styled():
        panel.draw(figure)
    for ax, shown in zip(figure.axes, (maps[1].before, maps[1].after), strict=False):
        assert torch.equal(torch.from_numpy(ax.images[0].get_array().filled()), shown[1])
        for axis, marked in ((ax.xaxis, reading.target), (ax.yaxis, reading.queries)):
            labels = axis.get_ticklabels()
            assert tuple(label.get_text() for label in labels) == reading.labels
            assert [place for place, label in enumerate(labels) if label.get_weight() == "bold"] == list(marked)
        frame = ax.patches[0]
        assert frame.get_xy() == (reading.target.start - 0.5, reading.queries.start - 0.5)
        assert (frame.get_width(), frame.get_height()) == (3, 3)
