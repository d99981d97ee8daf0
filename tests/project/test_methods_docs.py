"""The figures of docs/methods.md are those of the kept result."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
PROSE = " ".join(" ".join(x for x in PAGE.splitlines() if not x.startswith("|")).split())


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("methods_page")


@pytest.fixture(scope="module")
def table(bench):
    return bench.kept_table()


@pytest.mark.parametrize("part", ["bias_lines", "loss_lines", "auc_lines", "weight_lines"])
def test_every_row_of_the_tables_stands_there(part, bench, table):
    for line in getattr(bench, part)(table):
        assert f"\n{line}\n" in PAGE


def test_no_other_row_does(bench, table):
    parts = ("bias_lines", "loss_lines", "auc_lines", "weight_lines")
    expected = {line for part in parts for line in getattr(bench, part)(table)}
    # The section on order has tables of its own, and tests (test_sparse_order.py).
    before, _, rest = PAGE.partition("## The order where clicks are sparse")
    lines = (before + rest[rest.index("## Bias") :]).splitlines()
    assert {line for line in lines if re.match(r"\| (`[a-z0-9_]+[`,]|P\()", line)} == expected


def test_the_result_is_whole(bench, table):
    """Every method in every scenario under three seeds."""
    methods = importlib.import_module("methods")
    expected = {(simulator, name) for simulator in methods.SCENARIOS for name in methods.METHODS}
    assert set(table.index) == expected
    assert set(table["seeds"]) == {3}
    assert "errors" not in table


BIASES = [
    ("cvr_blind", "esmm", "ESMM is off by {}"),
    ("cvr_blind", "multitask", "so are the control ({})"),
    ("cvr_blind", "click_space", "the naive model ({})"),
    ("hidden", "aman", "AMAN ({})"),
    ("hidden", "dcmt, prior 1", "DCMT with a prior of 1 ({})"),
    ("dense", "aman", "nothing to repair, by {}"),
    ("dense", "dcmt, prior 1", "-27.5% and {}."),
    ("dense", "ddpo", "inflate it ({} in `dense`"),
    ("dense", "ddpo, hard labels", "with hard labels {})"),
    ("sparse", "click_space", "the naive model is off by {}"),
    ("sparse", "esmm", "ESMM by {}"),
    ("sparse", "multitask", "masked to clicks, has {}"),
    ("ctr_blind", "esmm", "held to conversions: {}"),
    ("ctr_blind", "click_space", "against {} (naive)"),
    ("ctr_blind", "multitask", "{} (control)"),
    ("cvr_blind", "multi_ipw", "Multi-IPW is at {}"),
    ("cvr_blind", "multi_dr", "Multi-DR at {}"),
    ("cvr_blind", "dr_jl", "DR-JL at {}"),
    ("cvr_blind", "mrdr", "MRDR at {}"),
    ("cvr_blind", "escm2_dr", "ESCM2-DR at {}"),
    ("cvr_blind", "multi_ipw, moving average", "moving average ({})"),
    ("cvr_blind", "multi_ipw, cross-fitted", "from cross-fitting ({})"),
    ("cvr_blind", "aitm", "In `cvr_blind` that is {}"),
    ("cvr_blind", "division", "that is +61.5% and {}"),
    ("cvr_blind", "escm2_ips, floor .1", "leaves {}"),
    ("cvr_blind", "escm2_ips", "in the place of {}"),
]


@pytest.mark.parametrize(("scenario", "method", "said"), BIASES)
def test_a_bias_in_the_text_is_that_of_the_table(simulator, method, said, table):
    found = table.loc[(simulator, method), "relative bias, all"]
    assert said.format(f"{found:+.1%}") in PROSE


@pytest.mark.parametrize(
    ("scenario", "method", "column", "said"),
    [
        ("sparse", "click_space", "AUC, all", "AUC {} against"),
        ("sparse", "esmm", "AUC, all", "against {} over all impressions"),
        ("sparse", "multitask", "AUC, all", "+12.7% and {}."),
        ("sparse", "click_space", "AUC, clicks", "encodings: {}, "),
        ("sparse", "esmm_ns", "AUC, clicks", "encodings: .6709, {}, "),
        ("sparse", "esmm", "AUC, clicks", "encodings: .6709, .6658, {}."),
        ("cvr_blind", "click_space", "AUC, clicks", "naive model is {},"),
        ("cvr_blind", "multi_dr", "AUC, clicks", "that of Multi-DR {},"),
        ("dense", "pairwise_ranker", "AUC, all", "{} (RankNet)"),
        ("dense", "lambda_ranker", "AUC, all", "{} (LambdaRank)"),
        ("dense", "esmm", "AUC, all", "that of ESMM {}."),
    ],
)
def test_an_auc_in_the_text_is_that_of_the_table(simulator, method, column, said, table):
    assert said.format(f"{table.loc[(simulator, method), column]:.4f}".lstrip("0")) in PROSE


def shares(table):
    esmm = table.loc[("cvr_blind", "esmm"), "|relative bias|, all"]
    return {
        name: table.loc[("cvr_blind", name), "|relative bias|, all"] / esmm
        for name in ("escm2_dr", "escm2_ips")
    }


def test_counterfactual_losses_keep_what_is_claimed_of_them(table):
    found = shares(table)
    assert f"ESCM2-DR has {found['escm2_dr']:.2f} of ESMM's" in PROSE
    assert f"ESCM2-IPS {found['escm2_ips']:.2f} (at most half)" in PROSE
    assert found["escm2_dr"] <= 1 / 3
    assert found["escm2_ips"] <= 1 / 2
    forms = [
        *("ips", "snips", "multi_ipw", "multi_ipw, moving average", "multi_ipw, cross-fitted"),
        *("escm2_ips", "chorus_cvr", "multi_dr", "escm2_dr", "dr_jl", "sn_dr", "mrdr"),
        *("dr_bias", "dr_mse", "dcmt"),
    ]
    biases = [table.loc[("cvr_blind", name), "relative bias, all"] for name in forms]
    assert f"end between {min(biases):+.1%} and {max(biases):+.1%}" in PROSE
    gaps = [table.loc[("cvr_blind", name), "gap closed"] for name in forms]
    assert 0.65 < min(gaps) <= max(gaps) < 0.8


def test_no_method_repairs_a_hidden_confounder(table):
    scaling = importlib.import_module("methods_table").SCALING
    part = table.loc["hidden"].drop([*scaling, "oracle"])
    least = part["relative bias, all"].min()
    ceiling = part["relative bias of P(r | x, click), all"].mean()
    assert f"itself is off by {ceiling:+.1%}" in PROSE
    assert f"leaves the scale of pCVR alone is below {least:+.1%}" in PROSE
    assert least > ceiling


def test_what_is_said_without_a_figure_is_so(table):
    bias, auc = table["relative bias, all"], table["AUC, all"]
    for simulator in ("dense", "cvr_blind", "hidden"):
        assert bias[simulator, "esmm"] > bias[simulator, "click_space"] - 0.03
    for name in ("esmm", "esmm_ns", "dbmtl", "aitm", "division"):
        assert bias["ctr_blind", name] > 0.2
    for name in ("aitm", "division"):
        assert auc["cvr_blind", name] < 0.5
    unscaled = table.loc["sparse"].drop(
        [*importlib.import_module("methods_table").SCALING, "oracle"]
    )
    spread = unscaled["sd of relative bias"].max()
    assert f"moves by up to {100 * spread:.0f} points" in PROSE
    clipped = table["clipped_share"]
    assert clipped["sparse", "escm2_ips, floor .1"] == pytest.approx(0.8, abs=0.02)
    assert clipped["cvr_blind", "escm2_ips, floor .1"] == pytest.approx(0.1, abs=0.01)
