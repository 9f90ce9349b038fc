"""The keys of a sweep file besides a run's settings, for its reader and `mta-lab settings`."""

from typing import Literal

from mta_lab.config.catalogue import REQUIRED, Section, Setting
from mta_lab.results.failures import MEANINGS, RETRY
from mta_lab.sweep.evidence import EQUAL_WITHIN

SEEDS, TRIALS, WINNERS = 3, 20, 1
"""how many there are where the file does not say"""
SAMPLER: Literal["tpe"] = "tpe"
PRUNER: Literal["median"] = "median"
COUNT = "1 or more"

FILE = (
    Setting("title", "a text", "the file's name", "", "the heading of the table"),
    Setting("about", "a text", "''", "", "what the sweep is for, in a few sentences"),
    Setting(
        "components", "a list of texts", "[]", "", "files with components of your own, seen from the file's folder"
    ),
    Setting("base", "a mapping", "{}", "settings of a run", "what every row starts from"),
    Setting(
        "scales",
        "a mapping",
        "{}",
        "names of scales, each with settings and evaluate",
        "what holds at one scale, above the rows",
    ),
    Setting("baseline", "a text", "the first row", "the name of a row", "the row that the others are compared with"),
    Setting(
        "rows", "a mapping or a text", REQUIRED, "names, each with settings; leave_one_out", "what each row sets itself"
    ),
    Setting(
        "stages",
        "a mapping",
        "{}",
        "names, each with settings",
        "runs that go on from a row's run, where it names them",
    ),
    Setting(
        "seeds",
        "a whole number or a list",
        str(SEEDS),
        "1 or more, or the seeds themselves, like [3, 7, 11]",
        "how often each row is trained, with other random numbers",
    ),
    Setting(
        "looks",
        "a list or a mapping",
        "one, at all seeds",
        "rising numbers of seeds, like [3, 6, 12], or scales with such lists",
        "when verdicts are given while seeds are added, said before the first; the last one is the default of seeds",
    ),
    Setting(
        "evaluate",
        "a list",
        "nothing",
        "evaluations that ask questions, like [needles], each by its name or with settings",
        "what a launch asks its finished runs; rows are compared by the first; one in scales replaces it",
    ),
    Setting(
        "equal_within", "a text", EQUAL_WITHIN, "a percentage, like 1%", "the largest difference that counts as equal"
    ),
    Setting(
        "retry",
        "a mapping",
        f"{{{', '.join(f'{kind}: {times}' for kind, times in RETRY.items())}}}",
        "kinds of failure, each with a number",
        "how often to try again",
    ),
    Setting(
        "search", "a mapping", "no search", "trials, winners, space", "ranges to search before the table is trained"
    ),
    Setting(
        "tune",
        "a text or a mapping",
        "nothing is tuned",
        "a key, like training.learning_rate; or the key with 3 or more values",
        "runs each row at several values of a setting first, on random numbers of their own, and trains it at its best",
    ),
)
ROW = (
    Setting("times", "a mapping", "{}", "settings, each with a factor", "multiplies what the layers below come to"),
    Setting(
        "published", "a text, a mapping or a list", "nothing", "like table5.11", "what was published, or its place"
    ),
    Setting("against", "a text", "the baseline", "the name of a row", "the row that this one is compared with"),
    Setting(
        "stages",
        "a text or a list",
        "none",
        "names of stages of the file",
        "goes on from the row's run stage by stage; the row stands for the last one",
    ),
    Setting("if", "a text", "always", "like model.layers >= 12", "leaves the row out where it does not hold"),
    Setting("grid", "a mapping", "one row", "settings or $NAMEs, each with values", "makes a row of each combination"),
    Setting("zip", "a mapping", "one row", "settings or $NAMEs, equally many values", "makes a row of each place"),
)
STAGE = (Setting("times", "a mapping", "{}", "settings, each with a factor", "multiplies what the run before it has"),)
VARIED = ("grid", "zip")
"""the keys of a row that make several of it"""
BESIDE = tuple(setting.key for setting in ROW if setting.key not in VARIED)
"""the other keys of a row that are no settings"""
PUBLISHED = (
    Setting("value", "a number", REQUIRED, "", "the published value, in the unit of the sweep's scores"),
    Setting("source", "a text", REQUIRED, "", "where it was published, like arXiv:2410.05258"),
    Setting("std", "a number", "unknown", "0 or more", "its standard deviation over runs"),
    Setting("runs", "a whole number", "1", COUNT, "how many runs it is the mean of"),
)
SEARCH = (
    Setting("trials", "a whole number", str(TRIALS), COUNT, "how many points are tried for each row with a $NAME"),
    Setting(
        "sampler",
        "a text",
        SAMPLER,
        "tpe, random, grid",
        "what proposes values: Optuna's TPE, chance, or every point in turn",
    ),
    Setting(
        "pruner",
        "a text",
        f"{PRUNER}; of a grid none",
        "median, hyperband, none",
        "what ends trials early by their validations",
    ),
    Setting("winners", "a whole number", str(WINNERS), COUNT, "how many of the best become rows of the table"),
    Setting("space", "a mapping", REQUIRED, "names, each with a range", "what stands for $NAME in the rows"),
)
RANGE = (
    Setting("from", "a number", REQUIRED, "less than `to`", "the lower end"),
    Setting("to", "a number", REQUIRED, "more than `from`", "the upper end, which is tried, too"),
    Setting("log", "true or false", "false", "true above 0 only", "true: each doubling is as likely as the next"),
    Setting("choices", "a list", REQUIRED, "two or more values", "values to choose from, in place of the two ends"),
)


def names(keys: tuple[Setting, ...]) -> tuple[str, ...]:
    """Return the keys as they are written."""
    return tuple(setting.key for setting in keys)


def file_keys() -> list[Section]:
    """Return all of them, with the place in a sweep file where they stand."""
    kinds = tuple(
        Setting(kind, "a whole number", str(RETRY.get(kind, 0)), "0 or more", f"how often to try again where {meaning}")
        for kind, meaning in MEANINGS.items()
    )
    return [
        Section("a sweep file", "Its keys; settings of a run stand in base, scales and rows.", FILE),
        Section("rows.NAME in a sweep file", "Keys that stand beside the settings of a row.", ROW),
        Section(
            "stages.NAME in a sweep file",
            "It sets model.context, model.positions, training, data, task and evaluations; beside them stands",
            STAGE,
        ),
        Section("rows.NAME.published in a sweep file", "A value that the paper ledger does not have.", PUBLISHED),
        Section("search in a sweep file", "How a search is done.", SEARCH),
        Section("search.space.NAME in a sweep file", "A range: its two ends, or choices.", RANGE),
        Section("retry in a sweep file", "How often a run is tried again, by how it failed.", kinds),
    ]
