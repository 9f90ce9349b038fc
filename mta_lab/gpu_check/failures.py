"""Stage `failures`: runs that take too much memory or break the GPU are trained all the same."""

from pathlib import Path
from typing import Any

from mta_lab.gpu_check.stages import StageError
from mta_lab.gpu_check.sweep import launched
from mta_lab.results.record import Record
from mta_lab.results.records import Records
from mta_lab.workspace import RESULTS

SWEEP = """
seeds: 1
base:
  task: {name: find_block, letters: 2, blocks: 3, held_out: 20}
  attention: softmax
  model: {width: 16, heads: 2, layers: 2, vocabulary: 28, context: 16, feed_forward_multiple: 16}
  training: {steps: 4, batch_size: 4, warmup_steps: 0, validations: 1}
rows:
  memory: {attention: {name: failing, fault: memory}}
  device: {attention: {name: failing, fault: device}}
  after: {}
baseline: after
"""


def run(folder: Path, _: bool) -> dict[str, Any]:
    """Return how each run ended; raise StageError where a failure was taken for another."""
    (folder / "failing.yaml").write_text(SWEEP)
    component = str(Path(__file__).with_name("failing.py"))
    launched(folder, "sweep", "failing.yaml", "--workers", "1", "--components", component)
    found = {_row(record): record for record in Records(folder / RESULTS).all_finished()}
    attempts = {row: [attempt.kind for attempt in record.attempts] for row, record in found.items()}
    expected = {"memory": ["out_of_memory"], "device": ["device"], "after": []}
    if attempts != expected:
        raise StageError(f"attempts before the run that finished: got {attempts}, expected {expected}")
    read = list(found["memory"].provenance["micro_batches"])
    if read != [2]:
        raise StageError(f"out of memory with 4 sequences at a time: the next attempt read {read}, expected [2]")
    return {row: [attempt.reason for attempt in record.attempts] for row, record in found.items()}


def _row(record: Record) -> str:
    fault: str = record.config["attention"].get("fault", "after")
    return fault
