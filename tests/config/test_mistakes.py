"""Every mistake is one line: layer, key, what was given and is allowed, the nearest name."""

import pytest
from torch import nn

from components import register
from components.norms import NormConfig
from mta_lab.config import Layer, command_line, resolve, scale_layer
from mta_lab.errors import UserError
from tests.config.helpers import SIZES, config, registry_restored


def mistake(*settings: str) -> str:
    """Return what the user is told."""
    with pytest.raises(UserError) as caught:
        config(*settings)
    return str(caught.value)


HYBRID = "attention=[{layers: %s, name: multi_token}, {layers: %s, name: softmax}]"
OPS = "attention={name: multi_token, pre_softmax: [%s]}"
TOY = "task={name: find_block, %s}"
MISTAKES = {
    "unknown leaf": ("model.headz=3", "model.headz", "did you mean 'model.heads'?", "width, layers, heads"),
    "unknown section": ("modell.heads=3", "modell", "did you mean 'model'?"),
    "unknown setting of a variant": ("attention.dropouts=0.1", "attention.dropouts", "'attention.dropout'"),
    "text for a whole number": ("model.heads=three", "model.heads", "'three'", "a whole number"),
    "fraction for a whole number": ("model.heads=2.5", "model.heads", "2.5", "a whole number"),
    "truth value for a number": ("model.heads=true", "model.heads", "True", "a whole number"),
    "nothing": ("model.heads=", "model.heads", "got nothing; leave the setting out for the default"),
    "text for a number": ("training.learning_rate=fast", "training.learning_rate", "'fast'", "a number"),
    "key below a leaf": ("model.heads.x=1", "model.heads", "a whole number"),
    "scalar for a section": ("model=3", "model:", "3", "a mapping of width"),
    "one of a few": ("training.precision=fp8", "training.precision", "'fp8'", "'fp32', 'tf32', 'bf16' or 'fp16'"),
    "graphs of what they do not have": ("training={compile: graph, z_loss: 0.1}", "training", "no z_loss", "auto, off"),
    "graphs of a synthetic task": ("training.compile=graph", "training", "compile", "'find_block' differ", "auto, off"),
    "heads that do not divide": ("model.heads=5", "model.heads", "5", "[1, 2, 4, 8, 16, 32]"),
    "odd head width": ("model.heads=64", "model.heads", "64", "[1, 2, 4, 8, 16, 32]"),
    "heads of a width beyond any": ("model.width=100000000000", "model.width", "at most 1,048,576"),
    "width beyond any": ("model.width=1000000000", "model.width", "1000000000", "at most 1,048,576"),
    "layers beyond any": ("model.layers=100000", "model.layers", "100000", "at most 4,096"),
    "context beyond any": ("model.context=1000000000000", "model.context", "at most 1,048,576"),
    "feed-forward beyond any": ("model.feed_forward_multiple=100000000000", "model.feed_forward_multiple", "at most"),
    "vocabulary beyond any": ("model.vocabulary=1000000000000", "model.vocabulary", "at most 16,777,216"),
    "endless norm of a gradient": ("training.gradient_clip=.inf", "training.gradient_clip", "inf", "more than 0"),
    "no heads": ("model.heads=0", "model.heads", "0", "1 or more"),
    "vocabulary below the bytes": ("model.vocabulary=100", "task", "model.vocabulary=257 or more", "got 100"),
    "no vocabulary": ("model.vocabulary=0", "model.vocabulary", "0", "1 or more"),
    "unknown task": ("task=find_blok", "task", "'find_blok'", "did you mean 'find_block'?"),
    "vocabulary of another task": ("task=find_block", "task: find_block needs model.vocabulary=28, got 512"),
    "context below the task's": (TOY % "blocks: 20", "task: find_block needs model.context=126 or more, got 32"),
    "question longer than a block": (TOY % "question: 9", "task.question", "9", "1 to letters (5)"),
    "one of three answers": (TOY % "answer: middle", "task.answer", "'middle'", "'all', 'first' or 'last'"),
    "unknown schedule": ("training.schedule=cosin", "training.schedule", "'cosin'", "did you mean 'cosine'?"),
    "minimum beyond the peak": (
        "training.schedule={name: cosine, minimum: 2}",
        "training.schedule.minimum",
        "got 2.0, allowed: 0 to 1",
    ),
    "unknown feed-forward": ("model.feed_forward=swigl", "model.feed_forward", "'swigl'", "did you mean 'swiglu'?"),
    "more active experts than there are": (
        "model.feed_forward={name: mixture, experts: 2, active: 3}",
        "model.feed_forward.active",
        "got 3, allowed: 1 to experts (2)",
    ),
    "unknown residual norms": ("model.residual_norms=pst", "model.residual_norms", "'pst'", "did you mean 'post'?"),
    "unknown kind of norm": ("model.residual_norms.norm=batch", "model.residual_norms.norm", "'rms' or 'layer'"),
    "a factor of norms that are not there": (
        "model.residual_norms=post",
        "model: residual_norms",
        "got 'post', which has no norm before a sublayer",
        "allowed: pre, sandwich, or another norm of the attention",
    ),
    "unknown initialiser": ("model.initialiser=mupp", "model.initialiser", "'mupp'", "did you mean 'mup'?"),
    "no width of a base": (
        "model.initialiser={name: mup, base_width: 0}",
        "model.initialiser.base_width",
        "got 0, allowed: 1 or more",
    ),
    "unknown optimizer": ("training.optimizer=adam", "training.optimizer", "'adam'", "did you mean 'adamw'?"),
    "unknown setting of an optimizer": (
        "training.optimizer={name: muon, momentun: 0.9}",
        "did you mean 'training.optimizer.momentum'?",
    ),
    "constant of AdamW for another": (
        "training={optimizer: lion, beta2: 0.9}",
        "training.beta2: got 0.9, which the optimizer 'lion' does not read",
    ),
    "decay of what is no kind": ("training.no_decay=[biases]", "training.no_decay", "biases", "'norms', 'kernels' or"),
    "average that never moves": ("training.ema=1", "training.ema", "got 1.0", "0 <= ema < 1"),
    "an end after all validations": ("training.stop_after=4", "training.stop_after", "got 4, allowed: 0 to 3"),
    "z-loss that is no number": ("training.z_loss=.nan", "training.z_loss", "nan", "0 or more"),
    "all of a label spread": ("training.label_smoothing=1", "training.label_smoothing", "0 <= label_smoothing < 1"),
    "load balance that is no number": (
        "training.auxiliary={load_balance: .nan}",
        "training.auxiliary: got nan for 'load_balance', allowed: a number",
    ),
    "load balance by a word": ("training.auxiliary={load_balance: some}", "training.auxiliary", "each to a number"),
    "a kind without decay twice": ("training.no_decay=[norms, norms]", "training.no_decay", "allowed: each once"),
    "unknown split": ("data.evaluate=train", "data.evaluate", "'train'", "'valid' or 'test'"),
    "negative rate": ("training.learning_rate=-0.1", "training.learning_rate", "-0.1", "more than 0"),
    "no steps": ("training.steps=0", "training.steps", "0", "1 or more"),
    "all steps warm up": ("training.warmup_steps=250", "training.warmup_steps", "250", "fewer than steps (250)"),
    "beta of one": ("training.beta1=1", "training.beta1", "1.0", "0 <= beta1 < 1"),
    "more validations than steps": ("training.validations=251", "training.validations", "251", "at most steps (250)"),
    "negative seed": ("seed=-1", "seed", "-1", "0 or more"),
    "unknown variant": ("attention=softmaxx", "attention", "'softmaxx'", "did you mean 'softmax'?", "multi_token"),
    "number for a variant": ("attention=3", "attention", "3", "name"),
    "nothing for a variant": ("attention=null", "attention", "None", "name"),
    "dropout of one": ("attention.dropout=1", "attention.dropout", "1.0", "0 <= dropout < 1"),
    "dropout that is no number": ("attention.dropout=.nan", "attention.dropout", "nan", "0 <= dropout < 1"),
    "unknown operation": (OPS % "key_quer", "pre_softmax[0]", "'key_quer'", "did you mean 'key_query'?"),
    "operation without a name": (OPS % "{kernel: [1, 1]}", "pre_softmax[0]", "'name'"),
    "scalar for a list": ("attention={name: multi_token, norm: gate, post_softmax: key_query}", "post_softmax", "list"),
    "unknown norm": ("attention={name: multi_token, norm: gat}", "attention.norm", "'gat'", "did you mean 'gate'?"),
    "unknown initialisation": (OPS % "{name: key_query, init: identty}", "pre_softmax[0].init", "'identity'"),
    "kernel of size 0": (OPS % "{name: key_query, kernel: [0, 1]}", "pre_softmax[0].kernel", "[0, 1]", "at least 1"),
    "kernel of one size": (OPS % "{name: key_query, kernel: [3]}", "pre_softmax[0].kernel", "[3]"),
    "kernel of three sizes": (OPS % "{name: key_query, kernel: [1, 2, 3]}", "pre_softmax[0].kernel", "[1, 2, 3]"),
    "second operation is wrong": (OPS % "key_query, {name: key_query, kernel: 3}", "pre_softmax[1].kernel", "3"),
    "group that does not divide": (OPS % "{name: head_mixing, group: 3}", "group", "3", "a divisor of the 4 heads"),
    "misspelt group": (OPS % "{name: head_mixing, group: al}", "pre_softmax[0].group", "'al'", "'all'"),
    "layer that is not there": (OPS % "{name: key_query, layers: [9]}", "layers", "9", "1 to 4"),
    "misspelt layer rule": (OPS % "{name: key_query, layers: every 0}", "layers", "'every 0'", "every N"),
    "odd width of a head": ("model.head_width=7", "model.head_width", "7", "an even number, 2 or more"),
    "no width of a head": ("model.head_width=0", "model.head_width", "0", "an even number, 2 or more"),
    "width of a head beside muP": ("model={head_width: 8, initialiser: mup}", "model.head_width", "8", "'mup'"),
    "heads wider than any model": ("model.head_width=900000", "model.head_width", "900000", "at most"),
    "attentions that overlap": (HYBRID % ("[2, 3]", "[3, 4]"), "attention", "layer 3 twice", "'[2, 3]'", "'rest'"),
    "attentions that leave gaps": (HYBRID % ("every 4", "[1, 4]"), "attention", "no attention for layer 2", "'rest'"),
    "attention on a layer that is not there": (HYBRID % ("[9]", "rest"), "attention: layers", "9", "1 to 4"),
    "misspelt rule of an attention": (
        HYBRID % ("evry 4", "rest"),
        "attention: layers",
        "'evry 4'",
        "every N",
        "'rest'",
    ),
    "attentions that are all the rest": (HYBRID % ("rest", "rest"), "attention", "'rest' twice", "once"),
    "rest of all layers": (HYBRID % ("[1, 2, 3, 4]", "rest"), "attention", "'rest'", "all of the model's 4 layers"),
    "attention on no layer": (HYBRID % ("none", "rest"), "attention: layers", "'none'", "leave the variant out"),
    "layer that is no text": (HYBRID % ("3", "rest"), "attention.layers", "[3, 'rest']", "a list"),
    "attention without its layers": ("attention=[softmax, {layers: rest, name: multi_token}]", "all of the model's 4"),
    "list of one attention": ("attention=[{layers: all, name: softmax}]", "attention.variants", "1", "2 or more"),
    "no attention": ("attention=[]", "attention.variants", "got 0", "2 or more"),
    "unknown variant of a layer": (
        *("attention=[{layers: rest, name: softmx}, {layers: [1], name: multi_token}]", "attention.variants[0]"),
        *("'softmx'", "did you mean 'softmax'?"),
    ),
    "dropout of one layer": (
        *("attention=[{layers: [1], name: softmax, dropout: 0.1}, {layers: rest, name: differential}]", "variants"),
        *("dropout: 0.1", "allowed: 0.0", "attention.dropout is that of all layers"),
    ),
    "hybrid in a hybrid": (
        *("attention=[{layers: [1], name: by_layer}, {layers: rest, name: softmax}]", "'by_layer' in 'by_layer'"),
        "other variants",
    ),
    "odd heads for differential": ("attention={name: differential}", "heads", "1", "an even number"),
    "no equals sign": ("model.heads", "'model.heads'", "KEY=VALUE"),
    "no key": ("=3", "'=3'", "KEY=VALUE"),
    "open bracket": ("model.heads=[1,", "model.heads", "'[1,'", "YAML"),
    "two colons": ("model.heads=4: 5", "model.heads", "'4: 5'", "YAML"),
    "tagged YAML": ("model.heads=!!python/object:os.system x", "model.heads", "YAML"),
    "duplicate key": ("model={heads: 2, heads: 4}", "model", "YAML"),
}
FIRST = {
    "heads of a width beyond any": "model.heads=3",
    "odd heads for differential": "model.heads=1",
    "graphs of a synthetic task": "task=find_block",
    "context below the task's": "model.vocabulary=28",
    "a factor of norms that are not there": "attention={name: multi_token, norm: layer_norm_block}",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line_that_helps(name: str) -> None:
    setting, *parts = MISTAKES[name]
    said = mistake(*filter(None, [FIRST.get(name)]), setting)
    assert said.startswith("command line: ")
    assert "\n" not in said
    assert [part for part in parts if part not in said] == []


def test_mistake_names_the_layer_that_made_it() -> None:
    layers = [
        SIZES,
        Layer("sweeps/x.yaml: base", {"attention": {"name": "multi_token", "norm": "gat"}}),
        Layer("sweeps/x.yaml: rows.a", {"training": {"steps": 300}}),
        command_line(["model.heads=2"]),
    ]
    with pytest.raises(UserError, match=r"^sweeps/x.yaml: base: attention.norm: "):
        resolve(layers)
    with pytest.raises(UserError, match=r"^sweeps/x.yaml: rows.a: training.steps: "):
        resolve([layers[0], Layer("sweeps/x.yaml: rows.a", {"training.steps": "many"}), layers[3]])


def test_setting_that_another_layer_replaced_is_not_held_against_anyone() -> None:
    wrong = Layer("base", {"attention": {"name": "multi_token", "nonsense": 1}})
    right = Layer("row", {"attention": "softmax"})
    assert resolve([SIZES, wrong, right]) == config()


def test_unknown_scale_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="no scale named 'nanoo'; did you mean 'nano'\\? known: nano, micro, small"):
        scale_layer("nanoo")


def test_far_off_name_gets_no_suggestion() -> None:
    assert "did you mean" not in mistake("zzz=3")


def test_interpolation_is_refused() -> None:
    assert "model.heads" in mistake("model.heads=${x}")


@pytest.mark.parametrize("value", [".nan", ".inf"])
def test_rate_must_be_finite(value: str) -> None:
    assert "training.learning_rate" in mistake(f"training.learning_rate={value}")


def test_scale_cannot_be_relabelled() -> None:
    assert "--scale" in mistake("scale=paper-880m")


def test_impossible_width_is_blamed_on_who_set_it() -> None:
    assert mistake("model.width=67").startswith("command line: ")


def test_model_that_does_not_fit_its_task_is_blamed_on_who_set_either() -> None:
    toy, small = Layer("row", {"task": {"name": "find_block", "blocks": 3}}), Layer("base", {"model.vocabulary": 28})
    assert resolve([SIZES, small, toy]).task.name == "find_block"
    with pytest.raises(UserError, match=r"^row: task: find_block needs"):
        resolve([SIZES, toy])
    with pytest.raises(UserError, match=r"^last: task: find_block needs model.vocabulary=28, got 30"):
        resolve([SIZES, small, toy, Layer("last", {"model.vocabulary": 30})])


def test_too_few_steps_are_blamed_on_who_set_them() -> None:
    said = mistake("training.steps=10")
    assert said.startswith("command line: training.warmup_steps: got 25, allowed: fewer than steps (10)")
    assert said.endswith("; for example training.warmup_steps=1 (its value is from sizes)")


def test_key_without_its_section_is_suggested() -> None:
    assert "did you mean 'model.heads'?" in mistake("heads=2")


def test_setting_of_another_variant_gets_no_nonsense_suggestion() -> None:
    assert "'attention.dropout'" not in mistake("attention.kernel=3")


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_a_number_that_no_record_can_hold_is_refused_given_or_by_default(value: str) -> None:
    with registry_restored():

        @register("norms", "endless")
        class Endless(NormConfig):
            """A norm of the tests."""

            most: float = float(value)
            ends: tuple[float, ...] = ()

            def build(self, *, width: int, model_width: int, layer: int) -> nn.Module:
                return nn.Identity()

        number = value.replace("inf", ".inf").replace("nan", ".nan")
        for key, settings in {"most": "", "ends": f", most: 1.0, ends: [2.0, {number}]"}.items():
            said = mistake(f"attention={{name: multi_token, norm: {{name: endless{settings}}}}}")
            assert f"attention.norm.{key}: got " in said
            assert said.endswith("allowed: a finite number")
