"""SmolLM2-135M, from a package, with operations inserted: it answers what it answered before."""

from pathlib import Path

import pytest
import torch

from mta_lab.config.checkpoint import sizes_of
from tests.cli.conftest import Command
from tests.real.extras import WITH_HF

NEW = 13_176  # seven layers with kernels of 6x11 for 9 heads, thirty with matrices of 9x9, each twice


@pytest.mark.network
@WITH_HF
def test_operations_in_a_real_model_leave_its_answers_as_they_are(lab: Command) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import mta_lab.huggingface.models

    assert mta_lab.huggingface.models
    done = lab("retrofit", "smollm2", "--to", "model")
    assert f"134,528,184 parameters, {NEW:,} of them new; logits equal to the bit" in done.out, done.err
    assert done.err == ""
    tokenizer = AutoTokenizer.from_pretrained("model")
    model = AutoModelForCausalLM.from_pretrained("model", dtype=torch.float32)
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    answers = [model.generate(**prompt, max_new_tokens=4, do_sample=False, use_cache=use) for use in (True, False)]
    assert torch.equal(*answers)
    assert "Paris" in tokenizer.decode(answers[0][0])
    plain = lab("retrofit", "smollm2", "--attention", "softmax", "--to", "plain")
    assert "LlamaForCausalLM, 134,515,008 parameters, 0 of them new" in plain.out, plain.err
    assert sizes_of(Path("plain"))["kv_heads"] == 3  # a sweep can start from it
