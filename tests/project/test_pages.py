"""Pages state what is kept: blocks, commands and file names of README.md, docs/ and benchmarks/."""

import importlib.util
import re
from pathlib import Path

import pytest

from benchmarks.lib import pages
from benchmarks.lib.results_store import FOLDER, read

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "datasets").rglob("*.md")),
]
STUDIES = sorted((ROOT / "benchmarks").rglob("*.py"))
RESULTS = sorted(FOLDER.glob("*"))
# Times, rates and memory of work that draws nothing which a reader would want to draw again.
MEASURED = {"bottoms", "metrics", "open_bandit", "serving", "sharded_tables", "simulator"} | {
    "fit_start", "prediction", "streaming", "streaming_epoch", "training",
}  # fmt: skip


@pytest.mark.parametrize("page", pages.pages())
def test_every_marked_block_is_what_its_template_renders_from_the_kept_results(page):
    assert (ROOT / page).read_text(encoding="utf-8") == pages.rendered(page)


def test_every_page_with_marks_has_a_template():
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in DOCUMENTS
        if pages.blocks(path.read_text(encoding="utf-8"))
    }
    assert marked == {page for page in pages.pages() if page.endswith(".md")}


def test_marks_that_differ_from_the_template_are_refused():
    with pytest.raises(ValueError, match=r"differ: \['goals'\]"):
        pages.filled("<!-- parts -->\n<!-- end -->\n", {"parts": "", "goals": ""})


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, *STUDIES], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_every_command_and_path_it_names_exists(path):
    text = path.read_text(encoding="utf-8")
    for module in re.findall(r"(?:python -m |`)(benchmarks(?:\.\w+)+)", text):
        assert importlib.util.find_spec(module), module
    assert not re.findall(r"python benchmarks/", text)
    for name in re.findall(r"\bbenchmarks/[\w/]+\.[\w.]*\w", text):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_kept_result_says_how_it_was_computed(path):
    assert path.name.endswith(".jsonl.gz")
    metadata, cells = read(path)
    assert cells
    name = path.name.removesuffix(".jsonl.gz")
    for part in [metadata] if "command" in metadata else cells:
        assert "mtl_seq" in part["versions"]
        module = re.fullmatch(r"python -m (benchmarks(?:\.\w+)+)(?: .*)?", part["command"])[1]
        assert importlib.util.find_spec(module), module
        seeded = "seed" in str([metadata.keys(), metadata.get("settings"), cells[0], part])
        assert seeded or "--seed" in part["command"] or name in MEASURED, name
