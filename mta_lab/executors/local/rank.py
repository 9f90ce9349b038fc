"""A rank: trains one run on one of its devices, together with the other ranks."""

import gc
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mta_lab.executors.local import trainer
from mta_lab.executors.local.process import mask_output
from mta_lab.training import ranks
from mta_lab.training.sharding import Sharded


def train_one(connection: "Connection[Any, Any]") -> None:
    """Receive a `Setup`, a `Seat` and the request of a run; train it, and tell of it."""
    mask_output()
    setup, seat = connection.recv(), connection.recv()
    trainer.load(setup)
    trainer.warm_up(setup.threads)
    gc.freeze()
    request = connection.recv()
    ranks.join(Sharded(seat.rank, setup.count, Path(f"/proc/self/fd/{seat.meeting}")))
    connection.send(trainer.train_run(request, connection))
