"""The rotary table stays as computed, in float32, whatever a model is converted to."""

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from mta_lab.model import Decoder, build_model
from mta_lab.testing import oracle
from tests.config.helpers import config

RUN = config("model.width=32", "model.heads=2", "model.vocabulary=257", "model.context=48", "attention=multi_token")


def built_on_meta() -> Decoder:
    with torch.device("meta"):
        return Decoder(RUN.model, RUN.attention)


def built_in(dtype: torch.dtype) -> Decoder:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return build_model(RUN, seed=0)
    finally:
        torch.set_default_dtype(before)


def saved_and_loaded(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)  # type: ignore[no-any-return]


def given_weights(model: Decoder) -> Decoder:
    model.load_state_dict(build_model(RUN, seed=1).bfloat16().state_dict(), assign=True)
    return model


CONVERTED: dict[str, Callable[[Decoder], nn.Module]] = {
    "to(bfloat16)": lambda model: model.to(torch.bfloat16),
    "half": lambda model: model.half(),
    "bfloat16": lambda model: model.bfloat16(),
    "double": lambda model: model.double(),
    "type": lambda model: model.type(torch.float16),
    "to(device, dtype)": lambda model: model.to("cpu", torch.float16),
    "there and back": lambda model: model.half().float(),
    "part of another module": lambda model: nn.Sequential(model).to(torch.bfloat16)[0],
    "a copy of a half": lambda model: copy.deepcopy(model.half()),
    "half of a copy": lambda model: copy.deepcopy(model).half(),
    "pickled": lambda model: pickle.loads(pickle.dumps(model.bfloat16())),
    "saved": lambda model: saved_and_loaded(model.bfloat16()),
    "weights of another": given_weights,
    "in shared memory": lambda model: model.share_memory(),
    "to_empty": lambda model: given_weights(model.to_empty(device="cpu")),
    "from meta": lambda model: given_weights(model.to("meta").to_empty(device="cpu")),
    "built on meta": lambda _: given_weights(built_on_meta().to_empty(device="cpu")),
    "built in bfloat16": lambda _: built_in(torch.bfloat16),
}


@pytest.mark.parametrize("how", CONVERTED)
def test_the_table_keeps_every_bit(how: str) -> None:
    plain = build_model(RUN, seed=0)
    table = plain.get_buffer("rotary").clone()
    angles = oracle.rotary_angles(48, 16, 100_000.0)
    torch.testing.assert_close(table.double(), torch.stack((angles.cos(), angles.sin()), 1), rtol=0, atol=5e-6)
    model = CONVERTED[how](plain)
    kept = model.get_buffer("rotary")
    assert kept.dtype == torch.float32
    assert torch.equal(kept, table)
    assert "rotary" not in model.state_dict()
    assert "rotary" in dict(model.named_buffers())
    assert model(torch.arange(40)[None]).isfinite().all()


def test_the_table_goes_where_the_model_goes() -> None:
    model = build_model(RUN, seed=0).to("meta")
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"meta"}


def test_a_table_of_ones_own_is_kept_too() -> None:
    """As a stage with another base would set it."""
    model = build_model(RUN, seed=0)
    own = torch.randn(48, 2, 8)
    model.rotary = own
    assert torch.equal(model.half().get_buffer("rotary"), own)
