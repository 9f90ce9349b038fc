"""CUDA graphs: a run as a graph is the run without one; what cannot be one is refused."""

from typing import Any

import pytest
import torch

from mta_lab.data import Corpus
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.training import graphs
from mta_lab.training.graphs import graphed, refuse_parts
from mta_lab.training.loss import mean_loss
from mta_lab.training.objective import Objective
from mta_lab.training.ranks import obstacle
from mta_lab.training.result import TrainingResult
from mta_lab.training.run import train
from mta_lab.training.sizes import step_memory
from tests.training.conftest import Configure

GRAPH = {"training.compile": "graph"}
PLAIN = {"training.compiled": False, "training.steps": 4, "attention.name": "multi_token", "attention.dropout": 0.1}


def both(configure: Configure, corpus: Corpus, **settings: Any) -> tuple[TrainingResult, TrainingResult]:
    """Return the result of a run with graphs, and without."""
    found = {**PLAIN, "training.deterministic": True, **settings}
    return train(configure({**found, **GRAPH}), corpus), train(configure({**found, "training.compile": "off"}), corpus)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_one_trace_computes_every_step_to_the_bit(
    configure: Configure, corpus: Corpus, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other seeds of dropout each step; a CPU runs the trace, and keeps no kernels of it."""
    traced: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        from torch._dynamo.backends.debugging import aot_eager

        traced.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr(own, "has_graphs", lambda: True)
    monkeypatch.setattr(graphs, "BACKEND", backend)
    graph, off = both(configure, corpus, **{"training.precision": precision})
    assert len(traced) == 1
    assert graph.losses == off.losses
    assert graph.validations == off.validations


def test_a_gpu_replays_what_it_computes_without(configure: Configure, corpus: Corpus, device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU has CUDA graphs")
    graph, off = both(configure, corpus)
    torch.testing.assert_close([loss for _, loss in graph.losses], [loss for _, loss in off.losses], rtol=1e-5, atol=0)


def test_without_graphs_a_step_is_as_ever(configure: Configure) -> None:
    for setting in ("auto", "off"):
        assert Objective(configure({"training.compile": setting}).training).mean_loss is mean_loss


@pytest.mark.skipif(own.on_gpu(), reason="the GPU here has graphs")
def test_a_cpu_refuses_to_train_by_graphs_and_times_a_step_without(configure: Configure, corpus: Corpus) -> None:
    with pytest.raises(
        UserError, match=r"training.compile: got 'graph', which is for GPUs, not .*; allowed: auto, off"
    ):
        train(configure(GRAPH), corpus)
    assert graphed(mean_loss) is mean_loss


def test_a_graph_reads_the_batch_whole_on_one_device(configure: Configure) -> None:
    config, eager = configure(GRAPH), configure()
    refuse_parts(4, 4)
    with pytest.raises(UserError, match=r"reads a batch at once, but 2 of 4 .*or a smaller training.batch_size"):
        refuse_parts(2, 4)
    assert obstacle(config.training, 1) == ""
    assert "got 'graph', which is of one device; allowed on 2 a run: auto, off" in obstacle(config.training, 2)
    assert step_memory(config, 4).weights == 2 * step_memory(eager, 4).weights
