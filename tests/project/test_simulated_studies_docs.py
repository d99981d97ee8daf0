"""The pages of the studies of simulated worlds are those of the kept results."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDIES = ("esmm_paper", "who_is_right", "esm2_cart")


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module


def page_of(study):
    return (ROOT / "docs" / f"{study}.md").read_text(encoding="utf-8")


def content_of(study):
    path = ROOT / "benchmarks" / "results" / f"{study}.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_table_is_that_of_the_kept_result(study, bench):
    content, page = content_of(study), page_of(study)
    module = bench(f"{study}_page")
    assert bench("pages").filled(page, module.blocks(content["cells"], content)) == page
    assert not [cell for cell in content["cells"] if "error" in cell]
    assert f"]({study}.png)" in page
    assert content["command"].startswith(f"python benchmarks/{study}.py --seeds ")
    assert "all impressions" in content["spaces"]
    assert "clicked validation rows" in content["checkpoint_rule"]


def prose_of(study):
    lines = page_of(study).splitlines()
    return " ".join(" ".join(line for line in lines if not line.startswith("|")).split())


def stated(page, said):
    """Every sentence, with its figure in it."""
    for sentence in said:
        assert sentence in page, sentence
