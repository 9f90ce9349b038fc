from hypothesis import given
from hypothesis import strategies as st

from mta_lab.data import documents

LONG = "A paragraph that is long enough to count as a duplicate wherever in the corpus it turns up again."


def test_clean_normalises_newlines_and_blanks() -> None:
    assert documents.clean("\r\n\r\na  \r\nb\t\r\r\n\n\n\n\n    c\n\n") == "a\nb\n\n\n    c"
    assert documents.clean("half \ud83d a pair") == "half ? a pair"


def test_choice_depends_neither_on_order_nor_on_repetition() -> None:
    texts = [f"document {number}" for number in range(50)]
    chosen = documents.choose(texts, 200).documents
    again = documents.choose([*reversed(texts), *texts, "", " \n"], 200)
    assert again.documents == chosen
    beyond = 50 - len(chosen)
    assert (again.read, again.dropped) == (
        102,
        {"empty": 2, "repeating another": 50, "beyond the recipe's limit": beyond},
    )
    assert chosen != texts[: len(chosen)]
    assert documents.size(chosen[:-1]) < 200 <= documents.size(chosen)


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2))
def test_split_keeps_every_document_once_and_fills_both_sides(texts: list[str]) -> None:
    train, valid = documents.split(texts)
    assert valid + train == texts
    assert train
    assert valid or documents.size(texts) == 0
    assert documents.size(valid[:-1]) <= documents.VALIDATION * documents.size(texts)


def test_a_paragraph_seen_before_goes_and_a_document_without_news_goes_with_it() -> None:
    seen: dict[bytes, str] = {}
    assert documents.drop_seen([LONG], seen, "news") == ([LONG], {})
    rewrapped = LONG.replace(" that ", "\n    that ")
    other = LONG.replace("paragraph", "sentence")
    texts = [f"Title\n\n{rewrapped}", f"Title\n\n{rewrapped}\n\n{other}", "Title", "Title"]
    kept, dropped = documents.drop_seen(texts, seen, "tales")
    assert kept == [f"Title\n\n{other}", "Title"]
    assert dropped == {"repeating text of news": 1, "repeating text of tales": 1}


def test_short_paragraphs_may_recur() -> None:
    texts = [f"Notes\n\n{number} {LONG}" for number in range(3)]
    assert documents.drop_seen(texts, {}, "news") == (texts, {})
