import csv
import io
import json
import sqlite3
import zipfile
from pathlib import Path

from mta_lab.data import extract


def test_members_of_wheels_and_folders_match_alike(tmp_path: Path) -> None:
    files = {"a/x.py": b"1", "a/b/y.py": b"2", "a/tests/z.py": b"3", "a/b/notes.txt": b"4"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "demo.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    for found in (
        extract.in_wheel(tmp_path / "demo.whl", "a/*.py", frozenset({"tests"})),
        extract.in_folder(tmp_path, "a/*.py", frozenset({"tests"})),
    ):
        assert sorted(found) == [b"1", b"2"]


def test_docstrings_are_the_long_ones() -> None:
    long = "Explains." * 30
    source = f'"""{long}"""\ndef f():\n    """Short."""\nclass A:\n    def g(self):\n        r"""{long}\\d"""\n'
    assert list(extract.docstrings(source.encode())) == [long, long + "\\d"]


def test_summaries_and_topics() -> None:
    data = json.dumps({"k": {"title": "Tree", "extract": "A tree is a plant."}}).encode()
    assert list(extract.summaries(data)) == ["Tree\n\nA tree is a plant."]
    assert list(extract.topics(b"# comment\ntopics = {'if': 'The if statement', 'for': 'Loops'}")) == [
        "The if statement",
        "Loops",
    ]


def test_news_reads_the_table_inside_the_zip() -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, ["id", "title", "text"])
    writer.writeheader()
    writer.writerow({"id": 1, "title": "Flood", "text": 'It rained, "they say".\nA lot.'})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("table.csv", table.getvalue())
    assert list(extract.news(content.getvalue())) == ['Flood\n\nIt rained, "they say".\nA lot.']


def test_bible_joins_the_verses_of_a_book() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE Books (BookID, LongName); CREATE TABLE Bible (BookID, Passage1, Passage2);"
        "INSERT INTO Books VALUES (1, 'Genesis'), (2, 'Exodus');"
        "INSERT INTO Bible VALUES (1, '1:1 In', ''), (1, '1:2 And', 'so'), (2, '1:1 Now', '');"
    )
    assert list(extract.bible(connection.serialize())) == ["Genesis\n\n1:1 In\n\n1:2 And so", "Exodus\n\n1:1 Now"]


def test_service_documentation_loses_its_markup() -> None:
    member = {"documentation": "<p>The <i>name</i>.</p>"}
    documentation = "<p>Gets &amp; returns.</p><ul><li>one</li></ul>"
    description = {
        "operations": {"Get": {"documentation": documentation, "input": {"shape": "R"}}},
        "shapes": {"R": {"members": {"Name": member, "Silent": {}}}},
    }
    assert list(extract.service(json.dumps(description).encode())) == [
        "Get\n\nGets & returns.\n\none\n\nName: The name."
    ]
