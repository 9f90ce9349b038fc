"""Workers on a Ray cluster: one relay each, the lost noticed and replaced."""

import os
import pickle
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mta_lab.data import content
from mta_lab.devices.visible import ORDER, WORKSPACE
from mta_lab.executors.base import Resources, RunRequest
from mta_lab.executors.local.messages import Arrived, Died, Message, Setup, Stop
from mta_lab.executors.ray.cluster import Node, nodes
from mta_lab.executors.ray.engine import exceptions, ray
from mta_lab.executors.ray.relay import Relay, Surroundings
from mta_lab.plugins import plugins_loaded
from mta_lab.results.failures import Kind

HANDED = ("MTA_LAB_", "MALLOC_", "OMP_", "MKL_", "CUBLAS_", "CUDNN_", "NVIDIA_TF32", "TORCH_", "PYTORCH_")
"""beginnings of the variables that workers have from the driver: they choose components and bits"""
ADDRESS = re.compile(r"\bip[=:] ?([\d.]+)")  # of the node, as Ray's errors say it
CALLS = 3  # that a relay answers at a time: it waits for messages while it passes on others


class RayPool:
    """So many workers, each as soon as the cluster has a place for it."""

    def __init__(self, workers: int, share: Resources, setup: Setup, logs: Path) -> None:
        """Ask for the places; each has its share of a machine."""
        self._setup = replace(setup, components=[path.absolute() for path in setup.components])
        self._logs = logs.absolute()
        # A relay that is lost is replaced here, once its run has been given back; never by Ray.
        self._make = ray.remote(
            num_cpus=share.cores,
            num_gpus=share.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=CALLS,
            scheduling_strategy="SPREAD",
        )(Relay)
        self._left_out = set[str]()  # the nodes of hosts
        self._hosts: dict[int, str] = {}
        self._actors: dict[int, Any] = {}
        self._polls: dict[Any, int] = {}
        for worker in range(workers):
            self._start(worker)

    def send(self, worker: int, message: RunRequest | Stop) -> None:
        """Hand a run to a ready worker, or stop its run; if it is gone, `poll` tells so."""
        self._actors[worker].send.remote(pickle.dumps(_absolute(message)))

    def kill(self, worker: int) -> None:
        """End a worker that may not listen any more: it may hang in native code."""
        self._actors[worker].kill.remote()

    def poll(self, seconds: float) -> list[tuple[int, Message]]:
        """Return messages of workers, in order for each; wait at most `seconds` for the first.

        A worker that died, or whose place was lost, is replaced; its last word is Died.
        """
        found, _ = ray.wait(list(self._polls), num_returns=1, timeout=seconds)
        if found:
            found, _ = ray.wait(list(self._polls), num_returns=len(self._polls), timeout=0)
        return [(index, message) for ref in found for index, message in self._heard(ref)]

    def leave_out(self, host: str) -> bool:
        """Take no place on a host from now on; return whether others are left."""
        self._left_out |= {node.id for node in nodes() if node.host == host}
        return any(node.id not in self._left_out for node in nodes())

    def close(self) -> None:
        """End all workers at once."""
        while self._actors:
            _, actor = self._actors.popitem()
            ray.kill(actor)

    def _heard(self, ref: Any) -> list[tuple[int, Message]]:
        worker = self._polls.pop(ref)
        try:
            messages: list[Message] = [pickle.loads(message) for message in ray.get(ref)]
        except exceptions.RayError as error:
            messages = self._lost(worker, error)
        for message in messages:
            if isinstance(message, Arrived):
                self._hosts[worker] = message.host
        if messages and isinstance(messages[-1], Died):
            # An actor that is unavailable may come back: killed, before its run is given away.
            ray.kill(self._actors[worker])
            self._start(worker)
        else:
            self._listen(worker)
        return [(worker, message) for message in messages]

    def _start(self, worker: int) -> None:
        texts = {directory.absolute(): stamps for directory, stamps in content.known().items()}
        setup = replace(self._setup, plugins=plugins_loaded(), texts=texts)
        handed = {name: value for name, value in os.environ.items() if name.startswith(HANDED)}
        # Ray counts GPUs as nvidia-smi does; and a run may ask for `training.deterministic`.
        environment = {ORDER: "PCI_BUS_ID", **dict([WORKSPACE]), **handed}
        surroundings = Surroundings(directory=Path.cwd(), environment=environment)
        elsewhere = {"ray.io/node-id": f"!in({','.join(sorted(self._left_out))})"} if self._left_out else None
        make = self._make.options(label_selector=elsewhere)
        self._actors[worker] = make.remote(worker, setup, self._logs, surroundings)
        self._listen(worker)

    def _listen(self, worker: int) -> None:
        self._polls[self._actors[worker].poll.remote()] = worker

    def _lost(self, worker: int, error: Exception) -> list[Message]:
        """Return the death of a worker whose relay, machine or connection is gone, and its host."""
        said, present = str(error), nodes()
        host = self._hosts.pop(worker, "") or _host_in(said, present)
        where = f"host {host}" if host else "its machine"
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        kind: Kind = "lost"
        if begun := getattr(error, "actor_init_failed", False):
            reason = f"no worker can be started on {where}: {lines[-1]}"
        elif "low on memory" in said:  # Ray has looked itself, as it does unless it is told otherwise
            kind, reason = "out_of_memory", f"Ray ended it, as {where} was low on memory"
        elif isinstance(error, exceptions.ActorUnavailableError):
            reason = f"{where} does not answer"
        elif host in {node.host for node in present}:
            reason = f"its relay on {where} died"
        else:
            reason = f"{where} is gone"
        died = Died(kind=kind, by_itself=begun, reason=reason, log=self._logs / f"worker-{worker}.log", printed=said)
        return [Arrived(host=host), died] if host else [died]


def _host_in(said: str, present: Sequence[Node]) -> str:
    """Return the host whose address stands in what Ray says of it; empty if none does."""
    address = ADDRESS.search(said)
    return next((node.host for node in present if address and node.address == address[1]), "")


def _absolute(message: RunRequest | Stop) -> RunRequest | Stop:
    """Return a message whose paths another machine finds, too."""
    if isinstance(message, Stop):
        return message
    return replace(
        message,
        corpus_root=message.corpus_root.absolute(),
        checkpoints=message.checkpoints.absolute(),
        weights=message.weights.absolute(),
        start=message.start.absolute() if message.start else None,
    )
