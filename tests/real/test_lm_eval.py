"""Tasks of lm-evaluation-harness, asked by the harness itself of finished runs."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import mta_lab
from components.evaluations import LmEval
from components.evaluations.lm_eval import TABLE_3
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.generation.cache import Cache
from mta_lab.lab.asking import Questions, ask_run, fingerprint_for
from mta_lab.lab.evaluating import evaluation_named
from mta_lab.lab.trained import corpus_of
from mta_lab.model import Decoder
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Records
from tests.lab.asked import sweep, train_rows
from tests.real.extras import WITH_HF, WITH_LM_EVAL
from tests.real.test_dashboard import COMMAND

if TYPE_CHECKING:
    from mta_lab.harness.prepared import HarnessTasks

pytestmark = [pytest.mark.real, WITH_LM_EVAL]
CONTEXT = 300
STAND_INS = tuple(f"{name}_stand_in{colon}{shots}" for name, colon, shots in (task.partition(":") for task in TABLE_3))
NINE = {name.partition(":")[0] for name in STAND_INS}
ASKED = LmEval(tasks=STAND_INS, context=CONTEXT, limit=100)
SPREAD = 2**61 - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with two runs on a text that is long enough for stand-ins."""
    found = tmp_path_factory.mktemp("harness")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        train_rows(documents=150)
        yield found


@pytest.fixture
def loaded(folder: Path) -> mta_lab.LoadedSweep:
    return mta_lab.load(sweep(), quiet=True)


@pytest.fixture
def tasks(loaded: mta_lab.LoadedSweep) -> "HarnessTasks":
    from mta_lab.harness.prepared import prepare

    trained = loaded.run_of("plain")._trained
    return prepare(ASKED, trained.config, corpus(loaded), pytest.fail)


def corpus(loaded: mta_lab.LoadedSweep) -> Corpus:
    found = corpus_of(loaded.run_of("plain")._trained)
    assert found
    return found


class Oracle(Decoder):
    """Is certain of each token of a right answer behind its text, and knows nothing of others."""

    def __init__(self, run: Any, right: Sequence[tuple[Sequence[int], int]]) -> None:
        super().__init__(replace(run.model, context=CONTEXT), run.attention)
        self.embedding = nn.Embedding.from_pretrained(torch.eye(run.model.vocabulary))
        self.follows = {
            before: tokens[place + 1]
            for tokens, answer in right
            for place, before in enumerate(read_as(tokens[:-1]))
            if place >= len(tokens) - answer - 1
        }

    def features(self, tokens_BT: Tensor) -> Tensor:
        found_BTV = torch.zeros(*tokens_BT.shape, self.embedding.num_embeddings)
        for row, tokens in enumerate(tokens_BT.tolist()):
            for place, before in enumerate(read_as(tokens)):
                if before in self.follows:
                    found_BTV[row, place, self.follows[before]] = 50.0
        return found_BTV

    def new_cache(self, padding: Sequence[int] = ()) -> Cache:
        cache = super().new_cache(padding)
        cache.uncached, cache.layers = "an oracle looks at whole texts", []
        return cache


def read_as(tokens: Sequence[int]) -> Iterator[int]:
    """Yield a number for each beginning of the tokens."""
    number = 1
    for token in tokens:
        number = (number * 1_000_003 + token + 1) % SPREAD
        yield number


def right_answers(tasks: "HarnessTasks") -> list[tuple[Sequence[int], int]]:
    """Return the tokens of each question with its right answer, and how many are the answer's."""
    from mta_lab.harness.model import HarnessModel

    found: list[tuple[Sequence[int], int]] = []
    tasks.loaded.draw_examples_anew()
    for task in tasks.loaded.tasks.values():
        task.build_all_requests(limit=ASKED.limit)
        right = [one for one in task.instances if one.idx == one.doc["label"]]

        def note(kind: str, askings: Sequence[Any]) -> Sequence[Any]:
            found.extend((one.tokens, one.answer) for one in askings)
            return []

        HarnessModel(tasks.decoding, CONTEXT, note, lambda *_: iter(())).loglikelihood(right)
    return found


def scores(tasks: "HarnessTasks", model: Decoder, folder: Path) -> Evaluated:
    return tasks.ask(model.eval(), "fp32", folder / "answers.jsonl", lambda done, total: None)


def test_an_oracle_is_right_in_every_question(tasks: "HarnessTasks", loaded: Any, tmp_path: Path) -> None:
    oracle = Oracle(loaded.run_of("plain")._trained.config, right_answers(tasks))
    found = scores(tasks, oracle, tmp_path)
    assert found.metrics["task_accuracy"].scores == dict.fromkeys(NINE, 1.0)
    assert set(found.metrics["task_accuracy_by_length"].scores.values()) == {1.0}
    assert all(number >= 100 for number in found.metrics["task_accuracy"].n.values())


def test_a_model_that_knows_nothing_is_at_chance(tasks: "HarnessTasks", loaded: Any, tmp_path: Path) -> None:
    found = scores(tasks, Oracle(loaded.run_of("plain")._trained.config, []), tmp_path)
    by, chance = found.metrics["task_accuracy"], found.floors["any answer at random"]
    assert chance.keys() == NINE
    assert {task for task in NINE if by.low[task] <= chance[task] <= by.high[task]} == NINE


def test_a_run_keeps_scores_errors_shots_and_versions_and_is_asked_once(loaded: mta_lab.LoadedSweep) -> None:
    tasks = ("piqa_stand_in", "mmlu_stand_in:5")
    result = loaded.run_of("mta").evaluate("lm_eval", tasks=tasks, context=CONTEXT, limit=20)
    kept = Records().finished(loaded.run_of("mta").record.fingerprint)
    assert kept
    assert not kept.fault()
    (found,) = kept.evaluated.values()
    by = found.metrics["task_accuracy"]
    assert by.scores == result.domains
    assert by.n == {"piqa_stand_in": 20, "mmlu_stand_in": 20}
    for task, score in by.scores.items():
        assert by.error[task] == pytest.approx((score * (1 - score) / 19) ** 0.5)
        assert by.low[task] <= score <= by.high[task]
    assert found.harness.startswith("lm_eval 0.")
    assert {task: (facts.shots, facts.version) for task, facts in found.tasks.items()} == {
        "piqa_stand_in": (0, "1"),
        "mmlu_stand_in": (5, "1"),
    }
    assert loaded.run_of("mta").evaluate("lm_eval", tasks=tasks, context=CONTEXT, limit=20) == result


class KilledError(Exception):
    """Ends an evaluation amid it."""


def test_a_kill_at_any_batch_changes_no_digit(
    tasks: "HarnessTasks", loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.harness.reading.A_PASS", 20_000)
    model = loaded.run_of("mta")._trained.model.eval()
    longer = Decoder(
        replace(loaded.run_of("mta")._trained.config.model, context=CONTEXT),
        loaded.run_of("mta")._trained.config.attention,
    ).eval()
    longer.load_state_dict(model.state_dict())
    whole = scores(tasks, longer, tmp_path / "whole")
    left = 3

    def killed(done: int, total: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KilledError

    kept = tmp_path / "killed" / "answers.jsonl"
    with pytest.raises(KilledError):
        tasks.ask(longer, "fp32", kept, killed)
    (file,) = kept.parent.iterdir()
    file.write_bytes(file.read_bytes()[:-9])  # as a kill amid a line leaves it
    assert len(file.read_bytes().splitlines()) == 3
    assert scores(tasks, longer, tmp_path / "killed").metrics == whole.metrics


def test_a_text_that_is_too_long_loses_its_beginning_and_that_is_told(loaded: mta_lab.LoadedSweep) -> None:
    short = replace(evaluation_named("lm_eval", {"tasks": ("mmlu_stand_in:5",)}), context=CONTEXT, limit=20)
    run = loaded.run_of("plain")._trained
    from mta_lab.harness.prepared import prepare

    asked = replace(prepare(short, run.config, corpus(loaded), pytest.fail), context=64)
    found = asked.ask(run.model.eval(), "fp32", Path("results/evaluations/cut.jsonl"), lambda done, total: None)
    (note,) = found.notes
    assert note == "80 of 80 answers of 'mmlu_stand_in' stand behind more than 64 tokens; the first ones are cut off"


OWN = {
    "passages": {"output_type": "loglikelihood", "doc_to_text": "{{text}}", "doc_to_target": " {{word}}"},
    "texts": {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}"},
}
MEASURES = {"passages": ("perplexity", "acc"), "texts": ("word_perplexity", "bits_per_byte")}


def own_tasks(folder: Path) -> Path:
    """Write two tasks as a user writes them: with data in lines of JSON."""
    folder.mkdir()
    records = [{"text": f"The river was beside the garden and near {near}", "word": "river"} for near in ("it", "us")]
    (folder / "data.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    for name, config in OWN.items():
        lines = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / "data.jsonl")}},
            "test_split": "test",
            **config,
            "metric_list": [{"metric": measure} for measure in MEASURES[name]],
            "metadata": {"version": 3},
        }
        (folder / f"{name}.yaml").write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in lines.items()))
    return folder


def test_tasks_of_a_folder_of_the_users_are_asked(
    loaded: mta_lab.LoadedSweep, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Perplexities have an interval where the harness gives an error; nothing else is printed."""
    evaluation = LmEval(tasks=(*OWN,), path=str(own_tasks(tmp_path / "own")))
    run, questions = loaded.run_of("plain")._trained, Questions(pytest.fail)
    found = ask_run(run, evaluation, Records(), questions, lambda done, total: None)
    assert capfd.readouterr() == ("", "")
    by, of_words = found.metrics["task_perplexity"], found.metrics["task_word_perplexity"]
    assert by.low["passages"] < by.scores["passages"] < by.high["passages"]
    assert by.error["passages"] > 0
    assert of_words.low["texts"] == 1.0
    assert found.notes == ["of the harness's measures, bits_per_byte are left out"]
    assert {facts.version for facts in found.tasks.values()} == {"3"}
    assert not found.floors
    before = fingerprint_for(evaluation, run)
    (tmp_path / "own" / "passages.yaml").write_text("task: passages\n")
    assert fingerprint_for(evaluation, run) != before, "another file is another evaluation"


def test_a_rolling_text_counts_each_token_once(loaded: mta_lab.LoadedSweep, tmp_path: Path) -> None:
    """The perplexity of words is that of the whole text in one pass, where it fits."""
    evaluation = LmEval(tasks=("texts",), path=str(own_tasks(tmp_path / "own")))
    run = loaded.run_of("plain")._trained
    found = ask_run(run, evaluation, Records(), Questions(pytest.fail), lambda done, total: None)
    tokenizer, losses, words = corpus(loaded).tokenizer(), 0.0, 0
    for line in (tmp_path / "own" / "data.jsonl").read_text().splitlines():
        text: Mapping[str, str] = json.loads(line)
        ids = [corpus(loaded).end_of_text, *tokenizer.encode(text["text"], add_special_tokens=False).ids]
        with torch.no_grad():
            logits_TV = run.model(torch.tensor([ids[:-1]]))[0]
        losses += torch.nn.functional.cross_entropy(logits_TV, torch.tensor(ids[1:]), reduction="sum").item()
        words += len(text["text"].split())
    expected = torch.tensor(losses / words).exp().item()
    assert found.metrics["task_word_perplexity"].scores["texts"] == pytest.approx(expected, rel=1e-4)


def test_a_text_that_a_model_writes_ends_where_the_task_says(loaded: mta_lab.LoadedSweep, tmp_path: Path) -> None:
    """The right answer is what greedy decoding writes before the first letter that ends it."""
    run, tokenizer = loaded.run_of("mta")._trained, corpus(loaded).tokenizer()
    prompt = tokenizer.encode("The river was", add_special_tokens=False).ids
    written = tokenizer.decode([int(token) for token in run.model.generate(torch.tensor([prompt]), 12)])
    assert len(written) > 4
    lines = {
        "task": "writes",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "data.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{text}}",
        "doc_to_target": "{{word}}",
        "generation_kwargs": {"until": [written[4]], "max_gen_toks": 12},
        "metric_list": [{"metric": "exact_match"}],
    }
    (tmp_path / "writes.yaml").write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in lines.items()))
    record = {"text": "The river was", "word": written[: written.index(written[4])]}
    (tmp_path / "data.jsonl").write_text(f"{json.dumps(record)}\n" * 2)
    evaluation = LmEval(tasks=("writes",), path=str(tmp_path))
    found = ask_run(run, evaluation, Records(), Questions(pytest.fail), lambda done, total: None)
    assert found.metrics["task_exact_match"].scores == {"writes": 1.0}


CHOICES = {
    "output_type": "multiple_choice",
    "doc_to_choice": "{{words}}",
    "doc_to_target": "{{right}}",
    "metric_list": [{"metric": "acc"}],
}
WRITES = {"output_type": "generate_until", "doc_to_target": "{{right}}", "metric_list": [{"metric": "exact_match"}]}
DREW = {"until": ["."], "max_gen_toks": 5, "do_sample": True}
FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a record without answers": (CHOICES, {"words": None}, r"the harness cannot ask faulty \(.*\); look at the tasks'"),
    "more examples than records": ({**CHOICES, "num_fewshot": 50}, {}, r"the harness cannot ask faulty \(ValueError: "),
    "a negative temperature": (
        {**WRITES, "generation_kwargs": {**DREW, "temperature": -1}},
        {},
        "faulty: generation_kwargs: temperature: got -1.0, allowed: 0",
    ),
    "no token to draw": (
        {**WRITES, "generation_kwargs": {**DREW, "top_p": 0}},
        {},
        "faulty: generation_kwargs: top_p: got 0, allowed: more than 0",
    ),
    "no token to write": (
        {**WRITES, "generation_kwargs": {**DREW, "max_gen_toks": 0}},
        {},
        "faulty: max_gen_toks: got 0, allowed: 1 or more",
    ),
}
"""settings of a task, what its second record has besides, and what is said"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_task_of_the_users_is_one_line(loaded: mta_lab.LoadedSweep, tmp_path: Path, fault: str) -> None:
    settings, other, said = FAULTS[fault]
    record = {"text": "The river was beside the", "words": [" garden", " tree"], "right": 0}
    (tmp_path / "data.jsonl").write_text(f"{json.dumps(record)}\n{json.dumps({**record, **other})}\n")
    lines = {
        "task": "faulty",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "data.jsonl")}},
        "test_split": "test",
        "doc_to_text": "{{text}}",
        **settings,
    }
    (tmp_path / "faulty.yaml").write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in lines.items()))
    with pytest.raises(UserError, match=said) as refused:
        loaded.run_of("plain").evaluate("lm_eval", tasks=("faulty",), path=str(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"tasks": ("piqa_stand_inn",)},
            "lm_eval: tasks: no task named 'piqa_stand_inn'; did you mean 'piqa_stand_in'",
        ),
        ({"tasks": ("passages",), "path": "nowhere"}, "lm_eval: path: got 'nowhere', allowed: a folder with tasks"),
        ({"tasks": ("piqa_stand_in",), "context": 20}, "boolq_stand_in: the held-out text makes 0 items"),
    ],
)
def test_a_mistake_is_one_line(loaded: mta_lab.LoadedSweep, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        loaded.run_of("plain").evaluate("lm_eval", **settings)
    assert "\n" not in str(refused.value)


def test_what_needs_the_hub_says_so_for_each_task_and_how_to_fetch_it(folder: Path, loaded: Any) -> None:
    """With the hub switched off, nothing waits for it; its cache is an empty folder."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "empty")}
    command = [*COMMAND, "evaluate", "results/sweeps/asked.yaml", "plain", "--scale", "nano", "--on", "lm_eval"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 10
    for task, line in zip(TABLE_3, lines, strict=False):
        name = task.partition(":")[0]
        assert f"lm_eval: {name}: its data is not here, and comes from the hub of Hugging Face" in line
        assert f"TaskManager().load(['{name}'])" in line
    assert "9 of 9 tasks cannot be asked here" in lines[-1]


@pytest.mark.parametrize(
    ("task", "status", "said"), [("piqa", 0, "piqa: its data is not here"), ("piqqa", 2, "'piqa'?")]
)
def test_a_plan_says_what_cannot_be_asked_before_anything_is_trained(
    tmp_path: Path, task: str, status: int, said: str
) -> None:
    rows = "rows: {plain: {attention: softmax}}"
    (tmp_path / "asked.yaml").write_text(f"title: asked\nevaluate: [{{name: lm_eval, tasks: [{task}]}}]\n{rows}\n")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    command = [*COMMAND, "plan", "asked.yaml", "data.corpus=stdlib", "training.steps=8"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())


@WITH_HF
@pytest.mark.parametrize("row", ["plain", "mta"])
def test_an_export_comes_to_the_same_digits_by_the_harness_own_model(
    tasks: "HarnessTasks", loaded: mta_lab.LoadedSweep, tmp_path: Path, row: str
) -> None:
    """The export is opened by transformers; texts that are too long are cut alike."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from mta_lab.lab.exporting import export

    export(loaded._plan, row, None, tmp_path / "export")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "export", trust_remote_code=True)
    theirs = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(tmp_path / "export"), batch_size=16)
    run = loaded.run_of(row)._trained
    context = run.config.model.context
    assert theirs.max_length == context < CONTEXT
    ours = scores(replace(tasks, context=context), run.model, tmp_path)
    tasks.loaded.draw_examples_anew()
    asked = {"tasks": tasks.loaded.tasks, "groups": tasks.loaded.groups}
    found = evaluate(lm=theirs, task_dict=asked, limit=ASKED.limit, bootstrap_iters=1, log_samples=False)["results"]
    for name, metric in LmEval.counted.items():
        for task, score in ours.metrics[metric.name].scores.items() if metric.name in ours.metrics else ():
            assert (task, found[task][f"{name},none"]) == (task, score)
            assert found[task][f"{name}_stderr,none"] == ours.metrics[metric.name].error[task]
    assert ours.notes, "some texts are longer than the context"
