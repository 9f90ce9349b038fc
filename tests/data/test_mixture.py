"""The share of each domain in training: the paper's, equal ones for a user's text, or as set."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mta_lab.config import DataConfig
from mta_lab.data import build, cache, documents, tokenizer
from mta_lab.data.mixture import PAPER, shares
from mta_lab.data.sources import RECIPES, Source
from mta_lab.errors import UserError
from tests.config.helpers import config


def test_built_in_text_has_the_papers_shares_scaled_to_its_domains() -> None:
    assert sum(PAPER.values()) == pytest.approx(1.0)
    assert {recipe.name for recipes in RECIPES.values() for recipe in recipes} == set(PAPER)
    assert shares(DataConfig(), ["github", "c4"]) == pytest.approx({"c4": 0.081 / 0.13, "github": 0.049 / 0.13})


@pytest.mark.parametrize("names", [["github", "c4"], ["github", "tales"], ["poems", "tales"], ["commoncrawl"]])
def test_own_domains_have_the_same_share_whatever_they_are_called(names: list[str]) -> None:
    assert shares(DataConfig(path="mine"), names) == dict.fromkeys(sorted(names), 1 / len(names))


@pytest.mark.parametrize("path", [None, "mine"])
def test_what_is_set_counts_in_any_scale(path: str | None) -> None:
    data = DataConfig(path=path, mixture={"github": 6, "c4": 2, "book": 0})
    assert shares(data, ["github", "c4", "book"]) == {"book": 0.0, "c4": 0.25, "github": 0.75}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("{tale: 2, news: 1}", "no domain named 'tale'; did you mean 'tales'? the text has: news, tales"),
        ("{news: 1}", "no weight for domain 'tales'; 0 leaves it out of training"),
        ("{news: -1, tales: 1}", "got -1.0 for domain 'news', allowed: 0 or more"),
        ("{news: .nan, tales: 1}", "got nan for domain 'news', allowed: 0 or more"),
        ("{news: 0, tales: 0}", "got 0 for every domain, allowed: more than 0 for at least one"),
        ("{news: much, tales: 1}", "allowed: a mapping of names, each to a number"),
        ("news", "allowed: a mapping of names, each to a number"),
    ],
)
def test_a_mixture_that_does_not_fit_the_text_is_refused(settings: str, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        shares(config("data.path=mine", f"data.mixture={settings}").data, ["news", "tales"])
    assert "data.mixture: " in str(caught.value)
    assert str(caught.value).endswith(complaint)


def test_a_domain_with_a_dot_in_its_name_has_a_share_too() -> None:
    assert config("data.mixture={web.en: 2}", "data.mixture.tales=1").data.mixture == {"web.en": 2.0, "tales": 1.0}


@pytest.mark.parametrize(
    ("names", "same"), [(("c4", "github"), False), (("news", "github"), False), (("a", "b"), True)]
)
def test_own_text_in_domains_called_like_the_built_in_ones_is_another_text(
    tmp_path: Path, names: tuple[str, str], same: bool
) -> None:
    """The same tokens are trained on in the paper's shares, in a built-in corpus, as before."""
    hashes = set()
    for package in (build.OWN_TEXT, "django"):
        source = Source(package=package, version="", rights="", what="")
        chosen = documents.choose([f"document {number}" for number in range(40)], None)
        train, valid = documents.Chosen(chosen.documents[:20], 20, Counter()), chosen.documents[20:]
        gathered = [
            build.Gathered(name=names[0], proxy="", sources=(source,), chosen=train),
            build.Gathered(name=names[1], proxy="", sources=(source,), chosen=replace(train, documents=valid)),
        ]
        build.build_text(gathered, tmp_path / package / "text", nothing)
        tokens = tmp_path / package / "tokens-270"
        make = partial(tokenizer.make, "bpe", vocabulary=270, say=nothing)
        build.build_tokens(tmp_path / package / "text", tokens, make, nothing)
        hashes.add(cache.facts(tokens)["content_hash"])
    assert (len(hashes) == 1) == same


def nothing(_: str) -> None:
    pass
