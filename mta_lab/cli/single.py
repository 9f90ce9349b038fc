"""The commands about one model, the text or the tracker."""

import os
import shlex
import sqlite3
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from components import FAMILIES
from mta_lab.children import python
from mta_lab.cli.common import CORPORA, make_console, open_records
from mta_lab.config import DataConfig, Layer, RunConfig, command_line, difference, resolve, scale_layer
from mta_lab.data import Corpus, Source, cache, find, prepare
from mta_lab.data.corpus import TEXT, tokens_directory
from mta_lab.data.mixture import shares
from mta_lab.data.sources import RECIPES
from mta_lab.errors import UserError, nearest
from mta_lab.plugins import load_components

if TYPE_CHECKING:
    from mta_lab.cli.sweeping import Plan

LOOPBACK = ("127.0.0.1", "localhost", "::1")

MODELS = {"transformer": "softmax", "mta": "multi_token"}
"""names of Table 2's models that differ from their attention's"""


def train_one(settings: Sequence[str], scale: str, components: Sequence[Path]) -> None:
    """Train one configuration as a sweep of a single run would, and print its perplexity by domain."""
    from mta_lab.cli import launching
    from mta_lab.cli.retrying import clear_failure

    plan = one_run(settings, scale, components)
    clear_failure(plan)
    status = launching.run(plan, 1, components)
    if status:
        raise SystemExit(status)


def one_run(settings: Sequence[str], scale: str, components: Sequence[Path]) -> "Plan":
    """The plan of `mta-lab train`."""
    from mta_lab.cli import sweeping
    from mta_lab.sweep import single_run

    load_components(components)
    config = resolve([scale_layer(scale), command_line(settings)])
    changed = difference(config, resolve([scale_layer(scale)]))
    sweep = single_run(sweeping.resolved_auto(config, config), changed)
    command = sweeping.typed("train", *settings, scale=scale, seeds=None, components=components)
    return sweeping.Plan(
        given="train", sweep=sweep, records=open_records(), command=command, retry=command, rerun_stale=True
    )


def parameters(model: str, scale: str, settings: Sequence[str], components: Sequence[Path]) -> int:
    """Trainable parameters of a model at a scale."""
    from mta_lab.model import count_parameters

    load_components(components)
    known = [*MODELS, *FAMILIES["attention"].names()]
    if model not in known:
        raise UserError(f"--model: no model named '{model}'{nearest(model, known) or ';'} known: {', '.join(known)}")
    name = Layer("--model", {"attention": MODELS.get(model, model)})
    return count_parameters(resolve([scale_layer(scale), name, command_line(settings)]))


def prepare_data(settings: Sequence[str], scale: str, components: Sequence[Path]) -> None:
    """Fetch and prepare the text of a scale."""
    load_components(components)
    console = make_console()
    config = _config(settings, scale)
    corpus = prepare(config.data, config.model.vocabulary, CORPORA, console.print)
    shares(config.data, [domain.name for domain in corpus.domains])  # names that the text lacks are refused
    console.print(f"{corpus.directory}: ready, content hash {corpus.content_hash[:16]}")


def show_data(settings: Sequence[str], scale: str, components: Sequence[Path]) -> None:
    """Show what the text is made of, and how much of it there is where it is prepared."""
    load_components(components)
    config = _config(settings, scale)
    corpus = find(config.data, config.model.vocabulary, CORPORA)
    if corpus is None and config.data.path is not None:
        raise UserError(f"data.path: {config.data.path} is not prepared yet; run `mta-lab data prepare` with it")
    make_console().print(_prepared(corpus, config.data) if corpus else _recipes(config.data.corpus))


def verify_data(settings: Sequence[str], scale: str, components: Sequence[Path]) -> None:
    """Read every file of the text and its tokens, and print what is wrong with each; a UserError where anything is."""
    load_components(components)
    data, vocabulary = (config := _config(settings, scale)).data, config.model.vocabulary
    tokens = tokens_directory(data, vocabulary, CORPORA)
    if not tokens.exists():
        raise UserError(f"{tokens}: is not prepared yet; `mta-lab data prepare` with the same settings prepares it")
    damaged = None
    for directory in (tokens.with_name(TEXT), tokens):
        for name, wrong in cache.inspected(directory).items():
            print(f"{directory / name}: {wrong or 'as it was prepared'}")
            damaged = damaged or (directory if wrong else None)
    if damaged:
        raise UserError(f"data: files in {damaged} are damaged; {cache.remedy(damaged)}")
    if corpus := find(data, vocabulary, CORPORA):
        corpus.check()
        print(f"{corpus.directory}: holds the tokens of its content hash, {corpus.content_hash[:16]}")


def build_kernel() -> None:
    """Compile the fused kernels unless this machine has them."""
    from components.kernels.cpu import build

    console = make_console()
    try:
        with console.status("compiling the fused kernels (about half a minute)"):
            path = build.build(console.print)
    except build.BuildError as error:
        raise UserError(f"build-kernel: {error}") from None
    console.print(f"fused kernels: {path}", soft_wrap=True)


def dashboard(port: int, host: str) -> None:
    """Serve MLflow's pages over the default store, or the one that MLFLOW_TRACKING_URI names."""
    store = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    if store.startswith(("http://", "https://")):
        raise UserError(f"dashboard: MLFLOW_TRACKING_URI names a server that runs already; open {store} in a browser")
    if store == "sqlite:///mlflow.db" and not Path("mlflow.db").exists():
        raise UserError("dashboard: no mlflow.db here; run a sweep first")
    if host not in LOOPBACK:
        risk = "everyone who can reach this address can read, change and delete the runs; no password is asked for"
        print(f"mta-lab: warning: --host {host}: {risk}", file=sys.stderr)
    _follow(store)
    address = f"http://{host}:{port}"
    print(f"MLflow at {address} (Ctrl-C ends it)", flush=True)
    for name, view in _views(address, store):
        print(f"{name}: {view}", flush=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store  # not among the arguments, which every user of the machine can list
    # Both the server and MLflow's runner of runs, which has none to run here, look for modules in the current folder.
    options = f"--app-dir {shlex.quote(sysconfig.get_path('stdlib'))}"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = python("-m", "mlflow", "ui", "--host", host, "--port", str(port), "--uvicorn-opts", options)
    os.execv(command[0], command)  # so that signals reach MLflow


def _follow(store: str) -> None:
    """Let the addresses of files follow a directory that was moved; MLflow says it where the database is at fault."""
    from mta_lab.tracking.place import follow

    with suppress(sqlite3.Error):
        if moved := follow(store):
            print(f"mta-lab: {moved}", file=sys.stderr)


def _views(address: str, store: str) -> list[tuple[str, str]]:
    """The sweeps in the store with the addresses of their views; none where it cannot be read: MLflow says why."""
    from mta_lab.tracking.view import addresses

    with suppress(Exception):
        return addresses(store, address)
    return []


def _config(settings: Sequence[str], scale: str) -> RunConfig:
    return resolve([scale_layer(scale), command_line(settings)])


def _prepared(corpus: Corpus, data: DataConfig) -> RichTable:
    share_of = shares(data, [domain.name for domain in corpus.domains])
    sizes = ("share", "documents", "dropped", "train / valid MB", "train / valid tokens")
    table = _sources(f"{corpus.name}: vocabulary {corpus.vocabulary}, content hash {corpus.content_hash[:16]}", *sizes)
    for domain in corpus.domains:
        table.add_row(
            *_origin(domain.name, domain.sources, domain.proxy),
            f"{100 * share_of[domain.name]:.1f} %",
            f"{domain.documents:,}",
            "\n".join(f"{count:,} {reason}" for reason, count in domain.dropped.items()) or "-",
            f"{domain.train_bytes / 1e6:.2f} / {domain.valid_bytes / 1e6:.2f}",
            f"{domain.train_tokens:,} / {domain.valid_tokens:,}",
        )
    return table


def _recipes(corpus: str) -> RichTable:
    table = _sources(f"{corpus}: not prepared yet; `mta-lab data prepare` does it")
    for recipe in RECIPES[corpus]:
        table.add_row(*_origin(recipe.name, [part.source for part in recipe.parts], recipe.proxy))
    return table


def _sources(title: str, *more: str) -> RichTable:
    table = RichTable(title=title, show_lines=True)
    for name in ("domain", "made of", "rights", "stand-in", *more):
        table.add_column(name)
    return table


def _origin(name: str, sources: Sequence[Source], proxy: str) -> list[str]:
    made_of = "\n".join(f"{source.package} {source.version}: {source.what}" for source in sources)
    return [name, made_of, "\n".join(source.rights for source in sources), proxy or "-"]
