"""The figures of docs/families.md are those of the kept result."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE[PAGE.index("## Measured") :].split())
WORDS = {1: "one seed", 2: "two seeds", 3: "three seeds"}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("families_page")


@pytest.mark.parametrize("part", ["calibration", "order", "weighted", "balance"])
def test_every_table_stands_there_whole(part, bench):
    lines = getattr(bench, f"{part}_lines")()
    assert len(lines) >= 3
    assert "\n" + "\n".join(lines) + "\n\n" in PAGE


def test_the_seeds_are_as_stated(bench):
    parts = ("calibration", "ranking", "weighted clicks", "balance")
    seeds = {len(some) for part in parts for some in bench.kept_cells(part).values()}
    (count,) = seeds
    assert f"means over {WORDS[count]}" in PROSE


def test_what_is_said_of_calibration_is_so(bench):
    cells = bench.kept_cells("calibration")
    bias, loss = "relative bias, all", "log loss, all"
    spread = [cells["dense", "esmm", how][bias].std() for how in ("none", "shift")]
    assert f"ESMM on dense: {spread[0]:.1%} to {spread[1]:.1%}" in PROSE
    for simulator, model, how in cells:
        before, after = cells[simulator, model, "none"], cells[simulator, model, how]
        if how == "shift":
            assert after[loss].mean() < before[loss].mean()
        if how == "isotonic":
            assert after[loss].mean() > before[loss].mean()
    assert cells["cvr_blind", "esmm", "shift"][bias].mean() > 0.2
    blind = [cells["cvr_blind", "multi_ipw", how] for how in ("none", "shift")]
    pcoc = [some["PCOC, clicks"].mean() for some in blind]
    assert f"PCOC {pcoc[0]:.3f} to {pcoc[1]:.3f}".replace(" 0.", " .") in PROSE
    assert blind[1][bias].abs().mean() < blind[0][bias].abs().mean()


def test_what_is_said_of_order_is_so(bench):
    cells = bench.kept_cells("ranking")
    within, over = "CTCVR AUC, within users", "CTCVR AUC, all"
    mean = {
        model: some.mean(numeric_only=True) for (w, model), some in cells.items() if w == "dense"
    }
    assert abs(mean["lambda_ranker"][within] - mean["esmm"][within]) < 0.02
    assert mean["pairwise_ranker"][within] < mean["esmm"][within] - 0.02
    for name in ("lambda_ranker", "pairwise_ranker"):
        assert mean[name][over] < mean["esmm"][over] - 0.05
    opposed = {
        model: some.mean(numeric_only=True) for (w, model), some in cells.items() if w != "dense"
    }
    fused, esmm = opposed["fusion, geometric"], opposed["esmm"]
    assert fused["CTR AUC, within users"] > esmm["CTR AUC, within users"] + 0.03
    assert fused[within] < esmm[within]
