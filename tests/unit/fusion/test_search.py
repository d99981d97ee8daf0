"""The search of a fusion's weights: its AUCs, its front, its constraint, its reproducibility."""

import math
import sys
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mtl_seq import BiasReport, Schema
from mtl_seq.errors import CompositionError, DataError, SchemaError
from mtl_seq.fusion import ScoreFusion, order_within, pareto_front, search_fusion


def simulate(rows=3000, seed=0):
    """A log whose CTR and CVR go against each other, and noisy scores of both."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, rows))
    p, q = 1 / (1 + np.exp(0.5 - 1.5 * x)), 1 / (1 + np.exp(0.5 + 1.2 * x - 1.5 * y))
    click = (rng.random(rows) < p).astype(int)
    conversion = click * (rng.random(rows) < q)
    log = pd.DataFrame({"user": rng.integers(0, 40, rows), "click": click, "order": conversion})
    log.index = pd.Index(rng.permutation(rows) + 7)
    parts = {"ctr": pd.Series(p, index=log.index), "cvr": pd.Series(q, index=log.index)}
    return log, parts


LOG, PARTS = simulate()
SCHEMA = Schema(labels={"click": "click", "conversion": "order"}, ids=["user"], group="user")
OVERALL = Schema(labels={"click": "click", "conversion": "order"}, ids=["user"])


def by_hand(score, label):
    """Mean of scikit-learn's AUC over users, by their rows."""
    values, rows = [], []
    for _, some in LOG.groupby("user"):
        if some[label].nunique() == 2:
            values.append(roc_auc_score(some[label], score[some.index]))
            rows.append(len(some))
    return np.average(values, weights=rows)


@pytest.mark.parametrize("kind", ["geometric", "arithmetic", "rank"])
def test_every_trial_states_the_aucs_of_its_fusion(kind):
    found = search_fusion(PARTS, LOG, schema=SCHEMA, kind=kind, trials=8)
    assert found.grouped
    for _, row in found.trials.iterrows():
        weights = {name: row[f"weight:{name}"] for name in PARTS}
        assert sum(weights.values()) == pytest.approx(1)
        score = ScoreFusion(weights, kind).fuse(PARTS, LOG["user"])["score"]
        assert row["ctr"] == pytest.approx(by_hand(score, "click"), abs=1e-12)
        assert row["ctcvr"] == pytest.approx(by_hand(score, "order"), abs=1e-12)


def test_without_a_group_they_are_plain_aucs():
    found = search_fusion(PARTS, LOG, schema=OVERALL, trials=3)
    assert not found.grouped
    score = (PARTS["ctr"] * PARTS["cvr"]) ** 0.5
    assert found.trials["ctr"][0] == pytest.approx(roc_auc_score(LOG["click"], score), abs=1e-12)
    assert found.trials["ctcvr"][0] == pytest.approx(roc_auc_score(LOG["order"], score), abs=1e-12)


def test_the_order_of_pctcvr_is_among_the_trials_and_each_component_alone():
    trials = search_fusion(PARTS, LOG, schema=SCHEMA, trials=5).trials
    assert trials.loc[:2, ["weight:ctr", "weight:cvr"]].to_numpy().tolist() == [
        [0.5, 0.5],
        [1, 0],
        [0, 1],
    ]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_best_has_the_greatest_utility_of_all_trials(sampler):
    if sampler == "tpe":
        pytest.importorskip("optuna")
    found = search_fusion(
        PARTS, LOG, schema=SCHEMA, ctr_share=0.3, trials=40, sampler=sampler, seed=2
    )
    table = found.trials
    assert len(table) == 40
    utility = 0.3 * table["ctr"] + 0.7 * table["ctcvr"]
    np.testing.assert_allclose(table["utility"], utility)
    row = table.loc[utility.idxmax()]
    assert found.best.weights == {name: row[f"weight:{name}"] for name in PARTS}
    # The two ends pull apart, so that something between is better than either.
    assert utility.max() > utility[1:3].max()
    again = search_fusion(
        PARTS, LOG, schema=SCHEMA, ctr_share=0.3, trials=40, sampler=sampler, seed=2
    )
    pd.testing.assert_frame_equal(again.trials, table)


@pytest.mark.parametrize(("components", "steps"), [(2, 5), (3, 3)])
def test_a_grid_is_the_finest_that_the_trials_allow(components, steps):
    parts = {str(index): PARTS["ctr"] ** (index + 1) for index in range(components)}
    trials = components + 1 + math.comb(steps + components, components - 1) - 1
    table = search_fusion(parts, LOG, schema=SCHEMA, trials=trials, sampler="grid").trials
    weights = table[[f"weight:{name}" for name in parts]].to_numpy()[components + 1 :]
    expected = {
        one
        for one in product(range(steps + 1), repeat=components)
        if sum(one) == steps and steps not in one and len({*one}) > 1
    }
    assert {tuple(row) for row in (steps * weights).round().astype(int).tolist()} == expected
    np.testing.assert_allclose(steps * weights, (steps * weights).round(), atol=1e-12)
    assert len(weights) == len(expected)


def test_all_for_clicks_is_the_click_score_alone():
    """pCTR is the truth of clicks here: nothing orders them better but by chance."""
    found = search_fusion(PARTS, LOG, schema=OVERALL, ctr_share=1.0, trials=60)
    assert found.best.weights["ctr"] > 0.9


def test_a_least_ctr_is_kept():
    free = search_fusion(PARTS, LOG, schema=SCHEMA, ctr_share=0.0, trials=60)
    chosen = free.trials["utility"].idxmax()
    least = (free.trials["ctr"].max() + free.trials["ctr"][chosen]) / 2
    bound = search_fusion(PARTS, LOG, schema=SCHEMA, ctr_share=0.0, least_ctr=least, trials=60)
    table = bound.trials
    assert (table["allowed"] == (table["ctr"] >= least)).all()
    best = table.loc[(table["weight:ctr"] == bound.best.weights["ctr"]).idxmax()]
    assert best["ctr"] >= least
    assert best["ctcvr"] == table.loc[table["allowed"], "ctcvr"].max()
    assert best["ctcvr"] < free.trials["ctcvr"].max()
    with pytest.raises(CompositionError, match=r"no trial reaches `least_ctr` 0.99: the best"):
        search_fusion(PARTS, LOG, schema=SCHEMA, least_ctr=0.99, trials=10)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=25))
def test_the_front_is_what_no_other_point_beats(points):
    found = pareto_front(np.array(points, dtype=float).reshape(-1, 2))
    expected = [not any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in points) for a in points]
    assert found.tolist() == expected


def test_groups_of_one_label_do_not_count_and_no_group_is_undefined():
    score = np.array([0.1, 0.9, 0.3, 0.2, 0.8])
    label = np.array([0.0, 1, 1, 1, 1])
    group = np.array([0, 0, 1, 1, 2])
    assert order_within(score, label, group) == 1
    assert np.isnan(order_within(score, np.ones(5), group))


def test_the_front_is_drawn(tmp_path):
    found = search_fusion(PARTS, LOG, schema=SCHEMA, trials=60)
    found.plot(tmp_path / "front.png")
    found.plot(tmp_path / "front.svg")
    assert (tmp_path / "front.png").stat().st_size > 10_000
    from mtl_seq.fusion.plot import front_figure

    axes = front_figure(found.trials, found.names, kind="geometric", grouped=True).axes[0]
    assert axes.get_xlabel() == "AUC of clicks, within users or requests"
    assert axes.get_ylabel() == "AUC of conversions, within users or requests"
    drawn = next(line for line in axes.lines if line.get_label() == "Pareto front")
    front = found.trials[found.trials["front"]].sort_values("ctr")
    np.testing.assert_array_equal(drawn.get_xydata(), front[["ctr", "ctcvr"]])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"log": LOG.iloc[:-1]}, DataError, "`log` must hold the rows of the components"),
        ({"log": LOG.sort_index()}, DataError, "`log` must hold the rows of the components"),
        ({"log": LOG.drop(columns="order")}, SchemaError, r"must hold the columns \['order'\]"),
        ({"log": LOG.drop(columns="user")}, SchemaError, r"must hold the columns \['user'\]"),
        ({"log": LOG.assign(order=0)}, DataError, "undefined within every user"),
        ({"trials": 2}, CompositionError, "`trials` must be at least 3, .* found 2"),
        ({"ctr_share": 1.2}, CompositionError, r"`ctr_share` must lie in \[0, 1\], found 1.2"),
        (
            {"sampler": "magic"},
            CompositionError,
            r"`sampler` must be one of \('random', 'grid', 'tpe'",
        ),
        ({"components": {}}, DataError, "at least one component to fuse, found none"),
    ],
)
def test_what_cannot_be_searched_is_refused(settings, error, message):
    given_ = {"components": PARTS, "log": LOG, "schema": SCHEMA, "trials": 10, **settings}
    with pytest.raises(error, match=message):
        search_fusion(given_.pop("components"), given_.pop("log"), **given_)


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(CompositionError, match=r"needs Optuna.*pip install 'mtl_seq\[tune\]'"):
        search_fusion(PARTS, LOG, schema=SCHEMA, sampler="tpe")


def test_a_fused_score_goes_into_a_report():
    found = search_fusion(PARTS, LOG, schema=OVERALL, trials=5).best.fuse(PARTS)
    report = BiasReport.from_log({"fused": found}, LOG, schema=OVERALL, replicates=5)
    row = report.table.loc["fused"]
    expected = roc_auc_score(LOG["order"], found["score"])
    assert row["CTCVR AUC", "all"] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(row["CTCVR PCOC", "all"])
