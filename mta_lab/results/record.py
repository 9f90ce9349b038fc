"""One finished or failed run, as it is kept: what each field means, and what no run can hold."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from components.metrics import METRICS, Metric, Scores, metric_named
from mta_lab.identity import ENGINE, Identity, fingerprint_of
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.failures import Attempt, Kind

SAME = 1e-9  # relative: sums in another order differ by less
MOST = 1e15  # steps, seconds, bytes and the like: more than any machine comes to
EARLIEST = "1970-01-02"  # a time that every clock can tell


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished run."""

    fingerprint: str
    config: Mapping[str, Any]
    """the canonical form of its configuration"""
    content_hash: str
    """of the text it read; empty for a synthetic task, which reads none"""
    parameters: int
    quantity: str
    """the name of the metric that its scores are of"""
    score: float
    """plain mean over the domains at the end of the run"""
    domains: Mapping[str, float]
    """score by domain at the end of the run"""
    tokens_per_second: float
    seconds: float
    """wall-clock time of the whole run"""
    losses: Sequence[Sequence[float]]
    """training curve: (step, nats a token)"""
    validations: Sequence[Sequence[float]]
    """validation curve: (step, score)"""
    run_id: str
    """the MLflow run, or an empty string where none was written"""
    provenance: Mapping[str, Any]
    """when, where and with what it was measured"""
    implementations: Mapping[str, str] = field(default_factory=dict)
    """what computed the attention: name -> why;
    empty in records of earlier versions, as what follows"""
    scored: Mapping[str, int] = field(default_factory=dict)
    """how many tokens or sequences each domain's score is over"""
    training_seconds: float | None = None
    """time of the optimizer steps alone"""
    step_seconds: float | None = None
    """median time of an optimizer step: on a CPU the seconds that
    processors worked on it, of all threads, on a GPU those of the clock"""
    peak_memory: int | None = None
    """bytes that the run held at most beyond what its process held before;
    None where the system does not tell"""
    flops_per_token: float | None = None
    """floating-point operations of a training step over the
    tokens it reads, as its implementation computes them"""
    attempts: Sequence[Attempt] = ()
    """those that failed before the one that finished"""
    meaning: str = ""
    """what its components compute, measured;
    'code:' and a hash of the code where a user's is among them"""
    component_code: str = ""
    """a hash over the code of the user's components that it ran;
    in records of earlier versions, of all components"""
    engine: int | None = None
    """the engine's version"""
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    """bits of a small fixed computation by what computed the run, by part ('fused, fp32'):
    equal where rounding is"""
    kernels: str = ""
    """a hash of the compiled kernels' sources, flags and torch; empty where there were none"""
    parent: str = ""
    """the fingerprint of the run that it starts from, of a stage, or the hash of the checkpoint's
    weights; empty where weights are drawn"""
    further: Mapping[str, Scores] = field(default_factory=dict)
    """what other evaluations of the model came to, by metric;
    empty in records of earlier versions"""
    apart: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    """training curves of losses beside the task's, by name, as (step, value) without its weight;
    empty in records of earlier versions"""
    evaluated: Mapping[str, Evaluated] = field(default_factory=dict)
    """results of evaluations that ask questions, by their fingerprint;
    empty in records of earlier versions"""

    @property
    def evaluations(self) -> Mapping[str, Scores]:
        """Return what all evaluations came to, by metric.

        The first is the one by which rows are compared.
        """
        return {self.quantity: Scores(domains=self.domains, scored=self.scored), **self.further}

    def asked(self, fingerprint: str) -> "Record | None":
        """Return the record as scored by an evaluation that asked questions, or None before it did.

        Its own scores are among the further ones. Its validations are left out: they are of another
        metric.
        """
        if fingerprint not in self.evaluated:
            return None
        metric, found = next(iter(self.evaluated[fingerprint].metrics.items()))
        own = Scores(domains=self.domains, scored=self.scored)
        return replace(
            self,
            quantity=metric,
            score=found.mean,
            domains=found.scores,
            scored=found.n,
            validations=(),
            further={self.quantity: own, **self.further},
        )

    @property
    def identity(self) -> Identity:
        """Return the parts that identify it besides its configuration."""
        return Identity(self.meaning, self.component_code, self.content_hash, self.engine, self.parent)

    @property
    def steps(self) -> int:
        """Return the steps that it was trained for: fewer than were set where it ended before."""
        training = self.config["training"]
        ended = self.validations and training.get("stop_after")
        return int(self.validations[-1][0] if ended else training["steps"])

    @property
    def metric(self) -> Metric:
        """Return the metric that scores it; raise LookupError if its component is not loaded."""
        if metric := metric_named(self.quantity):
            return metric
        raise LookupError(f"no loaded component is scored by '{self.quantity}'")

    @property
    def implementation(self) -> str:
        """Return what computed the attention: `fused`, or `fused + sdpa` where layers differ."""
        return " + ".join(self.implementations)

    @property
    def machine(self) -> str:
        """Return what trained it, with a number before its name where several devices did."""
        name, devices = str(self.provenance.get("machine")), self.provenance.get("devices_per_run", 1)
        return name if devices == 1 else f"{devices} x {name}"

    @property
    def contended(self) -> bool | None:
        """Return whether the run shared its cores, which changes times alone; None if unknown."""
        found = self.provenance.get("contended")
        return found if isinstance(found, bool) else None

    def fault(self) -> str:
        """Return in words why no run can have made this; empty where one can."""
        if not metric_named(self.quantity):
            return f"quantity: got '{self.quantity}', allowed: {', '.join(METRICS)}"
        for metric, name, score in self._scores():
            if not metric.least <= score <= metric.most:
                return f"{name}: got {score}, allowed for {metric.name}: {metric.least:g} to {metric.most:g}"
        if not self.domains:
            return "domains: got {}, allowed: the score of one at least"
        if empty := [name for name, scores in self.further.items() if not scores.domains]:
            return f"further.{empty[0]}.domains: got {{}}, allowed: the score of one at least"
        for name, evaluated in self.evaluated.items():
            if fault := next(evaluated.faults(), ""):
                return f"evaluated.{name}.{fault}"
        mean = math.fsum(self.domains.values()) / len(self.domains)
        if not math.isclose(self.score, mean, rel_tol=SAME):
            return f"score: got {self.score}, allowed: the mean of its domains, {mean}"
        return next(self._faults_of_shape(), "") or self._fault_of_identity()

    def _scores(self) -> Iterator[tuple[Metric, str, float]]:
        """Yield each score with its metric and place.

        Scores of metrics that are not known here cannot be judged.
        """
        yield self.metric, "score", self.score
        yield from ((self.metric, f"domains.{name}", score) for name, score in self.domains.items())
        yield from ((self.metric, "validations", point[-1]) for point in self.validations if len(point) == 2)
        for name, scores in self.further.items():
            if metric := metric_named(name):
                yield from ((metric, f"further.{name}.{domain}", score) for domain, score in scores.domains.items())

    def _faults_of_shape(self) -> Iterator[str]:
        beside = ((f"apart.{name}", points) for name, points in self.apart.items())
        for name, points in (("losses", self.losses), ("validations", self.validations), *beside):
            if not all(len(point) == 2 and 0 <= point[0] <= MOST for point in points):
                yield f"{name}: allowed: a list of steps, each with its value"
        if not self.validations:
            yield "validations: got [], allowed: one at least, at the end"
        yield from self._faults_of_cost()
        measured = {name: str for name in ("machine", "torch", "commit")} | {"threads": int}
        if not _is_time(self.provenance.get("finished", EARLIEST)):
            yield f"provenance.finished: got {self.provenance['finished']!r}, allowed: a time, as in ISO 8601"
        for name, kind in measured.items():
            if type(self.provenance.get(name)) is not kind:
                yield f"provenance.{name}: got {self.provenance.get(name)!r}, allowed: {KINDS[kind]}"
        if bool(self.parent) != bool(STARTS & self.config.keys()):
            yield "parent: allowed: the fingerprint of the run whose settings config.parent has, or neither"
        yield from _faults_of_config(self.config)

    def _faults_of_cost(self) -> Iterator[str]:
        """Yield the costs that no run has.

        A run takes time and has parameters, and none of its costs is infinite.
        """
        cost = {
            name: getattr(self, name)
            for name in ("parameters", "tokens_per_second", "seconds", "training_seconds", "step_seconds")
        }
        training = self.config.get("training")
        untrained = isinstance(training, dict) and training.get("steps") == 0
        for name, number in cost.items():
            if untrained and number == 0:  # a stage of no steps has no time of a step
                continue
            if number is not None and not 0 < number <= MOST:
                yield f"{name}: got {number}, allowed: more than 0, at most {MOST:g}"
        rest = {"peak_memory": self.peak_memory, "flops_per_token": self.flops_per_token, **self.scored}
        for name, number in rest.items():
            if not 0 <= (number or 0) <= MOST:
                yield f"{name}: got {number}, allowed: 0 or more, at most {MOST:g}"

    def _fault_of_identity(self) -> str:
        """Return a line if its fingerprint is another run's, else nothing.

        Fingerprints of earlier engines were made in another way.
        """
        if self.engine != ENGINE or not self.meaning:
            return ""
        if fingerprint_of(self.config, self.identity) == self.fingerprint:
            return ""
        return "config: it is of another run than the fingerprint says"


STARTS = {"parent", "init"}
"""sections that say what a run starts from, where its weights are not drawn"""
KINDS: Mapping[type, str] = {str: "a text", int: "a whole number", dict: "a mapping"}


def _is_time(text: Any) -> bool:
    """Return whether a text says a time that a clock of seconds since 1970 can tell."""
    try:
        return datetime.fromisoformat(text).timestamp() > 0
    except (TypeError, ValueError, OverflowError, OSError):
        return False


def _faults_of_config(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a configuration lacks that those of all versions have."""
    wanted = {"scale": str, "seed": int, "model": dict, "attention": dict, "training": dict}
    for name, kind in wanted.items():
        if type(config.get(name)) is not kind:
            yield f"config.{name}: got {config.get(name)!r}, allowed: {KINDS[kind]}"
            return
    if type(config["attention"].get("name")) is not str:
        yield "config.attention.name: allowed: a text"
    fewest = 0 if STARTS & config.keys() else 1
    if type(steps := config["training"].get("steps")) is not int or steps < fewest:
        yield f"config.training.steps: got {steps!r}, allowed: {fewest} or more"
    for name in ("task", "data", *STARTS):
        if name in config and type(config[name]) is not dict:
            yield f"config.{name}: got {config[name]!r}, allowed: a mapping"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failed attempts at a run that has not finished since."""

    fingerprint: str
    label: str
    kind: Kind = "exception"
    """of the last attempt, as the reason and the traceback;
    records of earlier versions have no kind"""
    reason: str
    """one line"""
    traceback: str
    attempts: Sequence[Attempt] = ()
    """all of them; empty in records of earlier versions"""
    final: bool = True
    """whether it is tried again only by hand"""

    def fault(self) -> str:
        """Return in words why no run can have left this; empty where one can."""
        steps = [attempt.step for attempt in self.attempts if attempt.step is not None and attempt.step < 0]
        return f"attempts: step: got {steps[0]}, allowed: 0 or more" if steps else ""
