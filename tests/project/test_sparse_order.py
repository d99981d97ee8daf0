"""The bookkeeping of benchmarks/papers/esmm_sparse.py, and that docs/methods.md states what it kept."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from mtl_seq import FeatureSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("sparse_order")

    class Draw:
        drawn = []
        fitted = []

        def __init__(self, rows, seed):
            self.at = (rows, seed)
            self.drawn.append(self.at)

        def fit(self, encoding, method):
            self.fitted.append((*self.at, encoding, method))
            gain = {"click_space": 0.0, "esmm_ns": 0.01, "esmm": 0.03}.get(method, 0.02)
            auc = 0.6 + gain + 0.01 * self.at[1] * (method == "esmm")
            return {"AUC, clicks": auc, "AUC, all": auc + 0.1, "seconds": 1.0}

    monkeypatch.setattr(module, "Draw", Draw)
    return module


def run(bench, out, *more):
    assert bench.main(["--rows", "10", "20", "--seeds", "3", "--out", str(out), *more]) == 0
    return bench.read(out)


def test_every_cell_is_fitted_once_and_an_interrupted_run_goes_on(bench, tmp_path, monkeypatch):
    fit = bench.Draw.fit

    def interrupted(self, *cell):
        if len(self.fitted) == 5:
            raise KeyboardInterrupt
        return fit(self, *cell)

    monkeypatch.setattr(bench.Draw, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(bench, tmp_path / "a.json")
    monkeypatch.setattr(bench.Draw, "fit", fit)
    found = run(bench, tmp_path / "a.json")
    # Two sizes and three seeds of six methods on raw ids and of seven with target encodings.
    assert len(found) == len(bench.Draw.fitted) == len(set(bench.Draw.fitted)) == 2 * 3 * 13
    # What the order is about comes first, seed by seed.
    first = bench.Draw.fitted[: 2 * 3 * 2 * 4]
    assert {method for *_, method in first} == set(bench.FIRST)
    assert [seed for _, seed, *_ in first] == sorted(seed for _, seed, *_ in first)


def test_parts_share_the_cells_and_the_last_one_merges(bench, tmp_path):
    out = tmp_path / "a.json"
    half = run(bench, out, "--part", "0/2")
    # A part keeps to whole groups, so that it draws a scenario for one encoding only.
    assert {encoding for _, _, encoding, _ in half} == {bench.RAW}
    assert len(run(bench, out, "--part", "1/2")) == len(bench.Draw.fitted) == 2 * 3 * 13
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_differences_are_paired_over_the_seeds(bench, tmp_path):
    found = list(run(bench, tmp_path / "a.json").values())
    lines = bench.difference_lines(found)
    apart = np.array([0.02, 0.03, 0.04])
    cell = f"{apart.mean():+.4f} ± {apart.std(ddof=1) / np.sqrt(3):.4f}"
    assert f"| `esmm` - `esmm_ns` | {' | '.join([cell] * 4)} |" in lines
    (own,) = [line for line in lines if "own history" in line]
    assert own.split(" | ")[1:] == ["", "-0.0200 ± 0.0000", "", "-0.0200 ± 0.0000 |"]
    assert "| `click_space` | 0.6000, 0.7000 |" in bench.method_lines(found)[0]


def test_own_history_hides_the_click_histories_and_nothing_else(bench):
    spec = FeatureSpec(ids={"user": 3}, dense=("price", "user:click", "user:conversion"))
    network = bench.own_history(spec, seed=0).network
    assert network.embedding.own == {"click": ("user:click",), "conversion": ()}
    assert network.embedding.shared == ("user", "price", "user:conversion")


def test_a_seed_that_lacks_a_method_is_left_out(bench, tmp_path):
    found = run(bench, tmp_path / "a.json", "--methods", *bench.FIRST)
    del found[10, 2, bench.RAW, "esmm_ns"]
    table = bench.figures(list(found.values()))
    assert set(table.loc[(10, bench.RAW)].index.get_level_values("seed")) == {0, 1}
    assert "10 rows, raw ids, 2 seeds | 10 rows, target encodings, 3 seeds" in bench.head(
        list(found.values())
    )
    assert len(bench.method_lines(list(found.values()))) == len(bench.FIRST)


def test_the_page_has_what_was_kept(bench):
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    found = list(bench.read(bench.RESULT).values())
    head = bench.head(found)
    for lines in (bench.method_lines(found), bench.difference_lines(found)):
        assert "\n" + "\n".join([head, *lines]) + "\n" in page
    section = page[page.index("## The order where clicks are sparse") : page.index("## Bias")]
    prose = " ".join(line for line in section.splitlines() if not line.startswith("|"))
    table = "".join(bench.difference_lines(found))
    said = re.findall(r"[+-]0\.\d{4} ± 0\.\d{4}", prose)
    assert len(said) >= 5
    assert all(difference in table for difference in said)


def test_what_the_page_says_of_the_order_is_so(bench):
    table = bench.figures(list(bench.read(bench.RESULT).values()))["AUC, clicks"]

    def errors(group, one, other):
        """How many standard errors the other is ahead."""
        apart = (table.loc[(*group, other)] - table.loc[(*group, one)]).dropna()
        return apart.mean() / apart.sem()

    few = (200_000, bench.RAW)
    assert errors(few, "click_space", "esmm") > 4
    assert errors(few, "click_space", "multitask") > 4
    for group in bench.columns(table.to_frame()):
        assert abs(errors(group, "click_space", "esmm_ns")) < 2
    assert errors((200_000, bench.DEFAULT), "click_space", "esmm") < 4
    naive = table.xs("click_space", level="method")
    told = (naive.loc[200_000, bench.DEFAULT] - naive.loc[200_000, bench.RAW]).dropna()
    assert told.mean() > 0.02
