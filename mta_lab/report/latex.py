r"""Write a page as LaTeX for \input; the document must load booktabs."""

import re

from mta_lab.report.page import Page, Section

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


def page_as_latex(page: Page) -> str:
    """Return one table environment a section, with the notes after the last."""
    tables = [_table(page, section) for section in page.sections]
    items = [rf"  \item{{}} {escaped(note)}" for note in page.notes]  # braces, because \item[ would begin a label
    notes = [r"{\footnotesize\begin{itemize}", *items, r"\end{itemize}}"] if items else []
    return "\n".join([r"% needs \usepackage{booktabs}", *tables, *notes])


def _table(page: Page, section: Section) -> str:
    title = f"{page.title}: {section.title}" + (f"; {page.extent}" if page.extent else "")
    head, *body = (" & ".join(map(_cell, row)) + r" \\" for row in (section.header, *(r.cells for r in section.lines)))
    return "\n".join(
        [
            r"\begin{table}[htbp]\centering\footnotesize\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{escaped(title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(section.header) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _cell(text: str) -> str:
    r"""Return a cell, in braces where it starts with a bracket.

    The `\\` before it would take such a bracket for its argument.
    """
    found = re.sub(r"(?<![\w.-])-(?=\d)", "$-$", escaped(text))
    return f"{{{found}}}" if found.startswith(("[", "*")) else found


def escaped(text: str) -> str:
    """Escape plain text for LaTeX."""
    return "".join(SPECIAL.get(char, char) for char in " ".join(text.split()))
