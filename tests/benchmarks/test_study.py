"""Cells are fitted once, kept at once and resumed; results and markdown are written as stated."""

from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import pytest

from benchmarks.lib import markdown, pages
from benchmarks.lib.metrics import measure, paired
from benchmarks.lib.results_store import read, rounded, write
from benchmarks.lib.study import Study, epochs_of
from mtl_seq.errors import DataError
from mtl_seq.records import FunnelTruth


class Cell(NamedTuple):
    seed: int
    method: str


CELLS = [Cell(seed, method) for seed in range(3) for method in ("a", "b")]


def fit(cell):
    if cell == (1, "a"):
        raise DataError("too few rows")
    return {"log loss, all": cell.seed / 3, "AUC, all": float("nan")}


def study(out, fit=fit, rows=1):
    return Study("python -m it", Cell, fit, {"rows": rows, "sizes": (1, 2)}, out)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_cell_is_fitted_once_and_kept_in_order(tmp_path, workers):
    out = tmp_path / "found.jsonl.gz"
    with joblib.parallel_config(backend="threading"):  # processes import torch
        found = study(out).run(CELLS[::-1], workers)
    assert set(found) == set(CELLS)
    metadata, cells = read(out)
    assert [(cell["seed"], cell["method"]) for cell in cells] == CELLS
    assert metadata["settings"] == {"rows": 1, "sizes": [1, 2]}
    assert metadata["command"] == "python -m it"
    assert cells[2] == {"seed": 1, "method": "a", "error": "too few rows"}
    assert cells[3] == {"seed": 1, "method": "b", "log loss, all": 0.33333, "AUC, all": None}
    assert study(out, fit=None).run(CELLS) == found
    assert list(tmp_path.iterdir()) == [out]


def test_an_interrupted_run_resumes(tmp_path):
    out, fitted = tmp_path / "found.jsonl.gz", []

    def interrupted(cell):
        fitted.append(cell)
        if len(fitted) == 4:
            raise KeyboardInterrupt
        return fit(cell)

    with pytest.raises(KeyboardInterrupt):
        study(out, interrupted).run(CELLS)
    assert len(read(out).cells) == 3
    study(out, interrupted).run(CELLS)
    assert fitted == [*CELLS[:4], *CELLS[3:]]
    assert len(read(out).cells) == len(CELLS)


def test_cells_of_other_settings_are_refused_and_of_the_same_reused(tmp_path):
    first, second = tmp_path / "first.jsonl.gz", tmp_path / "second.jsonl.gz"
    found = study(first).run(CELLS)
    assert study(second, fit=None).run(CELLS, reuse=[first]) == found
    with pytest.raises(SystemExit, match=r"holds cells of .*'rows': 1.*move it away"):
        study(first, rows=2).run(CELLS)


def test_a_result_is_read_as_it_was_written_in_equal_bytes(tmp_path):
    one, other = tmp_path / "one.jsonl.gz", tmp_path / "other.jsonl.gz"
    for path in (one, other):
        write(path, {"a": 1}, [{"b": "§", "c": 1}, {"b": "x", "error": "no"}])
    assert one.read_bytes() == other.read_bytes()
    found = read(one)
    assert found == ({"a": 1}, [{"b": "§", "c": 1}, {"b": "x", "error": "no"}])
    assert found.where(b="x") == [{"b": "x", "error": "no"}]
    assert found.frame("b")["c"].to_dict() == {"§": 1}
    with pytest.raises(ValueError, match="too many"):
        _ = found.record
    write(one, {"a": 1}, [{"b": 2}])
    assert read(one).record == {"a": 1, "b": 2}


def test_numbers_are_rounded_where_they_are_floats():
    found = rounded({"a": np.float64(1 / 3), "b": [np.inf, "x"], "c": {"n": 7, "t": True}})
    assert found == {"a": 0.33333, "b": [None, "x"], "c": {"n": 7, "t": True}}


def test_over_a_small_log_epochs_make_400_steps():
    assert epochs_of(50_000) == 3
    assert epochs_of(200_000) == 1


def test_differences_are_paired_and_one_seed_is_no_evidence():
    index = pd.MultiIndex.from_product([["a", "b"], range(3)])
    values = pd.Series([0.1, 0.2, 0.3, 0.2, 0.4, 0.6], index)
    pair = paired(values, "b", "a")
    error = np.array([0.1, 0.2, 0.3]).std(ddof=1) / np.sqrt(3)
    assert pair.text() == f"+0.2000 ± {error:.4f}"
    assert pair.times(-10) == pytest.approx((-2, 10 * error, 3))
    assert pair.apart()
    # The 97.5% quantile of t with two degrees of freedom.
    assert pair.half_width() == pytest.approx(4.302653 * error)
    one = paired(values[index.get_level_values(1) == 0], "b", "a")
    assert one.text("+.1%") == "+10.0%"
    assert not one.apart()
    assert paired(values, "b", "c").text() == "n/a"


def test_metrics_are_those_of_the_truth():
    rng = np.random.default_rng(0)
    p, q, hidden = rng.uniform(0.1, 0.4, 50), rng.uniform(0.05, 0.5, 50), rng.uniform(0.8, 1.2, 50)
    truth = FunnelTruth(p, q, p * q * hidden, p, q, np.zeros(50))
    click = rng.random(50) < 0.4
    found = measure(pd.DataFrame({"pctr": p, "pcvr": q / 2, "pctcvr": p * q / 2}), click, truth)
    assert found["relative bias, all"] == pytest.approx(-0.5)
    assert found["AUC, all"] > 0.5
    assert found["log loss, all"] == pytest.approx(
        -(q * np.log(q / 2) + (1 - q) * np.log1p(-q / 2)).mean()
    )
    clicked = (q * hidden)[click]
    assert found["relative bias, clicks"] == pytest.approx(
        (q / 2)[click].mean() / clicked.mean() - 1
    )
    off = ((q - p * q * hidden) / (1 - p))[~click]
    assert found["relative bias, non-clicks"] == pytest.approx(
        (q / 2)[~click].mean() / off.mean() - 1
    )
    ranked = measure(pd.DataFrame({"score": 3 * q - 1}), click, truth)
    assert ranked == {"AUC, all": pytest.approx(found["AUC, all"])}


def test_paragraphs_become_a_list_and_frames_a_table():
    text = markdown.bullets("a  point\n   of two lines\n\n" + "x" * 60 + " " + "y" * 60)
    assert text == f"* a point of two lines\n* {'x' * 60}\n  {'y' * 60}"
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"]}, index=["one", "two"])
    assert markdown.table(frame, "at").splitlines() == [
        *("| at | a | b |", "|---|---|---|", "| one | 1.5 | x |", "| two |  | y |"),
    ]
    assert markdown.spread(pd.Series([0.1, 0.3]), "+.1%") == "+20.0% ± 14.1%"
    assert markdown.form(markdown.unsigned(-1e-9), "+.1%") == "+0.0%"


def test_blocks_are_filled_between_their_marks_alone():
    page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n"
    new = {"one": "1\n2", "two": r"\1"}
    filled = pages.filled(page, new)
    assert pages.blocks(filled) == new
    assert filled.startswith("a\n<!-- one -->\n1\n2\n<!-- end -->\nb\n")
