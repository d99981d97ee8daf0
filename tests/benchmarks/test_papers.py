"""Repetitions of papers run at a small size, resume, and compare what they claim to compare."""

import numpy as np
import pytest

from benchmarks.lib.results_store import Result, read, write
from benchmarks.papers import esmm, esmm_sparse
from mtl_seq import FeatureSpec


def ran(folder, *more):
    """A run of one seed; its result."""
    out, figure = folder / "found.jsonl.gz", folder / "found.png"
    given = ["--seeds", "1", "--out", str(out), "--figure", str(figure), *more]
    assert esmm.main(given) == 0
    assert figure.stat().st_size > 5_000
    return read(out)


def test_the_esmm_paper_runs_and_all_methods_share_one_pctr(tmp_path, monkeypatch):
    monkeypatch.setattr(esmm, "METHODS", {name: esmm.METHODS[name] for name in ("BASE", "ESMM")})
    given = ["--scale", "0.02", "--scenarios", "sparse"]
    first = ran(tmp_path, *given)
    assert first.metadata["settings"]["rows"] == {"sparse": 4_000, "aliccp": 10_000}
    base, fitted = first.cells
    assert (base["method"], fitted["method"]) == ("BASE", "ESMM")
    # The common pCTR is that of BASE.
    assert base["CTCVR AUC, common pCTR, all"] == base["CTCVR AUC, all"]
    assert fitted["CTCVR AUC, common pCTR, all"] != fitted["CTCVR AUC, all"]
    assert base["conversions"] == fitted["conversions"] > 0
    # A cell that is fitted alone is the same: BASE is fitted again for its pCTR.
    write(tmp_path / "found.jsonl.gz", first.metadata, [base])
    esmm.base_scores.cache_clear()
    esmm.drawn.cache_clear()
    _, again = ran(tmp_path, *given).cells
    assert {**again, "seconds": 0} == {**fitted, "seconds": 0}

    def never(*_):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr(esmm, "scores_of", never)
    ran(tmp_path, *given)
    with pytest.raises(SystemExit, match="move it away"):
        ran(tmp_path, "--scale", "0.03", "--scenarios", "sparse")


def test_the_papers_form_shares_embeddings_and_nothing_else():
    """ESMM and the control share tables; BASE and ESMM-NS not even those; the rest is equal."""
    spec = FeatureSpec(ids={"user": 50, "item": 30}, dense=("price",))

    def parts(method):
        named = esmm.METHODS[method](spec, seed=0).network.named_parameters()
        tables, rest = [], 0
        for name, values in named:
            if "tables" in name:
                tables.append(tuple(values.shape))
            else:
                rest += values.numel()
        return tables, rest

    table = (50 + 30, 16)
    _, rest = parts("BASE")
    for method in esmm.METHODS:
        shared = method in ("ESMM", "control", "oracle")
        assert parts(method) == ([table] * (1 if shared else 2), rest), method


def test_compared_methods_come_first_seed_by_seed():
    cells = esmm_sparse.planned([10, 20], 3)
    # Two sizes and three seeds of six methods on raw ids and of seven with target encodings.
    assert len(cells) == len(set(cells)) == 2 * 3 * 13
    first = cells[: 2 * 3 * 2 * 4]
    assert {cell.method for cell in first} == set(esmm_sparse.FIRST)
    assert [cell.seed for cell in first] == sorted(cell.seed for cell in first)


def sparse_result():
    gains = {"click_space": 0.0, "esmm_ns": 0.01, "esmm": 0.03}
    return Result({}, [
        {**cell._asdict(), "AUC, all": 0.7,
         "AUC, clicks": 0.6 + gains.get(cell.method, 0.02)
         + 0.01 * cell.seed * (cell.method == "esmm")}
        for cell in esmm_sparse.planned([10, 20], 3)
    ])  # fmt: skip


def test_sparse_differences_are_paired_over_the_seeds():
    tables = esmm_sparse.Tables(sparse_result())
    gaps = np.array([0.02, 0.03, 0.04])
    expected = f"{gaps.mean():+.4f} ± {gaps.std(ddof=1) / np.sqrt(3):.4f}"
    differences = tables.differences()
    assert differences.loc["`esmm` - `esmm_ns`"].tolist() == [expected] * 4
    own = differences.loc["`click_space` - `click_space, own history`"]
    assert own.tolist() == ["", "-0.0200 ± 0.0000"] * 2
    assert tables.methods().loc["`click_space`"].tolist() == ["0.6000, 0.7000"] * 4


def test_a_seed_that_lacks_a_method_is_left_out():
    cells = [
        cell
        for cell in sparse_result().cells
        if cell["method"] in esmm_sparse.FIRST
        and (cell["rows"], cell["seed"], cell["encoding"], cell["method"])
        != (10, 2, esmm_sparse.RAW, "esmm_ns")
    ]
    tables = esmm_sparse.Tables(Result({}, cells))
    assert list(tables.columns)[:2] == [
        "10 rows, raw ids, 2 seeds",
        "10 rows, target encodings, 3 seeds",
    ]
    assert len(tables.methods()) == len(esmm_sparse.FIRST)


def test_own_history_hides_the_click_histories_and_nothing_else():
    spec = FeatureSpec(ids={"user": 3}, dense=("price", "user:click", "user:conversion"))
    network = esmm_sparse.own_history(spec, seed=0).network
    assert network.embedding.own == {"click": ("user:click",), "conversion": ()}
    assert network.embedding.shared == ("user", "price", "user:conversion")
