"""Operations that are accepted are the identity at the start, and those that are refused are not.

Held over the registry: each variant is put into trained attention of several kinds.
Shapes: B batch, T tokens, D model width.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from components.attention import AttentionConfig, ByLayer, Differential, MultiToken, Softmax, TalkingHeads
from components.attention.insertion import kept_operations, refuse_change
from components.initialise import initialise
from components.norms import NoNorm
from components.registry import ComponentError
from components.score_ops import HeadMixing, KeyQuery
from mta_lab.testing.subjects import HEADS, LAYER, LAYERS, SUBJECTS, WIDTH, Subject

HYBRID = ByLayer(layers=((3,), "rest"), variants=(Differential(), MultiToken()))
PARENTS: dict[str, AttentionConfig] = {
    "softmax": Softmax(),
    "talking heads": TalkingHeads(),
    "mta": MultiToken(),
    "exact": MultiToken(pre_softmax=(HeadMixing(), KeyQuery(mask="exact")), post_softmax=(), norm=NoNorm()),
    "differential": Differential(),
    "by layer": HYBRID,
}


def put_into(parent: AttentionConfig, subject: Subject) -> AttentionConfig:
    """Return the parent with what the subject shows alone: after its operations, or as its norm."""
    old, new = parent.in_operations(), subject.attention
    if subject.variant.family == "attention" or not (isinstance(old, MultiToken) and isinstance(new, MultiToken)):
        return new
    norm = new.norm if subject.variant.family == "norms" else old.norm
    pre, post = ((*getattr(old, place), *getattr(new, place)) for place in ("pre_softmax", "post_softmax"))
    return replace(old, pre_softmax=pre, post_softmax=post, norm=norm)


def built(config: AttentionConfig, layer: int) -> nn.Module:
    module = config.build(width=WIDTH, heads=HEADS, layer=layer, layers=LAYERS)
    initialise(module, seed=0)
    return module.double()


def largest_change(parent: AttentionConfig, child: AttentionConfig) -> float:
    """Return by how much an output differs where the parent's weights are in the child."""
    return max(change_on(layer, parent, child) for layer in (LAYER, LAYERS))


def change_on(layer: int, parent: AttentionConfig, child: AttentionConfig) -> float:
    before, after, generator = built(parent, layer), built(child, layer), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    own = after.state_dict()
    fits = {name: one for name, one in before.state_dict().items() if name in own and own[name].shape == one.shape}
    after.load_state_dict(fits, strict=False)
    x_BTD = torch.randn(2, 12, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return float((before(x_BTD) - after(x_BTD)).abs().max())


@pytest.mark.parametrize("name", PARENTS)
def test_what_is_accepted_changes_nothing_and_what_is_refused_does(name: str) -> None:
    parent, accepted, refused = PARENTS[name], list[str](), list[str]()
    for subject in SUBJECTS:
        child = put_into(parent, subject)
        try:
            child.build(width=WIDTH, heads=HEADS, layer=LAYER, layers=LAYERS)
        except ComponentError:
            continue  # in that order, operations cannot stand at all
        try:
            refuse_change(parent, child, LAYERS)
        except ComponentError:
            refused.append(str(subject))
            assert child == parent or largest_change(parent, child) > 1e-6, subject
        else:
            accepted.append(str(subject))
            assert largest_change(parent, child) < 1e-12, subject
    assert {"norms-depth", "kernel_init-zero-key_query", "kernel_init-normal-joint"} <= {*refused}
    assert {"score_ops-head_mixing-post_softmax", "attention-differential"} <= {*accepted, *refused}
    assert (name in ("differential", "by layer")) == ("score_ops-head_mixing-post_softmax" in refused)


def test_the_same_attention_goes_on_whatever_it_is() -> None:
    for parent in PARENTS.values():
        refuse_change(parent, replace(parent, dropout=0.2), LAYERS)


def test_operations_keep_their_weights_wherever_new_ones_stand() -> None:
    kq, mix = KeyQuery(layers="all"), HeadMixing()
    before = MultiToken(pre_softmax=(kq, mix), post_softmax=(mix,), norm=NoNorm())
    after = MultiToken(pre_softmax=(HeadMixing(group=2), kq, kq, mix), post_softmax=(mix, kq), norm=NoNorm())
    assert kept_operations(before, after, 1, LAYERS) == {"pre_softmax": [1, 3], "post_softmax": [0]}
    refuse_change(before, after, LAYERS)
    with pytest.raises(ComponentError, match="got no 'head_mixing' as the trained model has it on layer 1"):
        refuse_change(after, before, LAYERS)
    with pytest.raises(
        ComponentError, match=r"pre_softmax: got no 'head_mixing'.*allowed: its operations in their ord"
    ):
        refuse_change(before, replace(before, pre_softmax=(mix, kq)), LAYERS)


def test_an_operation_may_come_to_further_layers() -> None:
    few, many = (
        MultiToken(pre_softmax=(KeyQuery(layers=layers),), post_softmax=(), norm=NoNorm())
        for layers in ("every 4", "all")
    )
    refuse_change(few, many, LAYERS)
    assert kept_operations(few, many, 1, LAYERS)["pre_softmax"] == []
    assert kept_operations(few, many, 3, LAYERS)["pre_softmax"] == [0]
    with pytest.raises(ComponentError, match="got no 'key_query' as the trained model has it on layer 1"):
        refuse_change(many, few, LAYERS)


def test_each_layer_of_a_hybrid_goes_on_from_its_own() -> None:
    mix = HeadMixing(group=2)
    pairs, mta = HYBRID.variants
    grown = replace(mta, pre_softmax=(mix, *mta.pre_softmax))  # type: ignore[call-arg, attr-defined]  # a MultiToken
    refuse_change(HYBRID, replace(HYBRID, variants=(pairs, grown)), LAYERS)
    assert kept_operations(HYBRID, replace(HYBRID, variants=(pairs, grown)), 1, LAYERS)["pre_softmax"] == [1]
    refuse_change(Softmax(), ByLayer(variants=(MultiToken(norm=NoNorm()), Softmax())), LAYERS)
    with pytest.raises(ComponentError, match="'multi_token' cannot go on as 'differential'"):
        refuse_change(HYBRID, replace(HYBRID, variants=(mta, pairs)), LAYERS)
