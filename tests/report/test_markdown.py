"""Markdown that shows texts as they are, read by a Markdown library."""

from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mta_lab.report.markdown import page_as_markdown
from mta_lab.report.page import Line, Page, Section

TEXTS = [
    "a | b",
    r"a \| b",
    "*a* _b_ **c** __d__ ~~e~~",
    "`code` ``more``",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[text](javascript:alert(1))",
    "![image](http://x/y.png)",
    "&lt; &amp; &#60;",
    "<http://x>",
    "a\\",
    "=1+1",
    "# no heading",
    "- no list",
    "+ no list",
    "1. no list",
    "23) no list",
    "---",
    "-1.5 % is a number",
]


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_shown_as_it_is_in_title_heading_cell_and_note(text: str) -> None:
    section = Section(title=text, header=(text, "b"), lines=(Line(cells=(text, text)),))
    found = list(tokens(page_as_markdown(Page(name="n", title=text, sections=(section,), notes=(text,)))))
    kinds = {token.type for token in found}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open", "s_open", "code_inline", "fence"}
    assert sum(token.type in ("th_open", "td_open") for token in found) == 4
    inline = ["".join(child.content for child in token.children or ()) for token in found if token.type == "inline"]
    assert inline == [text, text, text, "b", text, text, text]
