"""Summary of a simulated log, against plain NumPy on the same rows."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Funnel, FunnelTruth, Schema, simulate
from mtl_seq.errors import DataError
from mtl_seq.report import SimulationSummary
from mtl_seq.report.simulation.summary_tables import gini

ROWS = 60_000


@pytest.fixture(scope="module")
def drawn():
    simulator = simulate.scenario("hidden")
    return (*simulator.sample(ROWS, np.random.default_rng(5)), simulator.schema)


@pytest.fixture(scope="module")
def found(drawn):
    return SimulationSummary.from_log(*drawn)


def test_every_figure_of_the_table(drawn, found):
    log, truth, _ = drawn
    o, r, p = log["click"].to_numpy(), truth.potential, truth.pctr
    w = 1 / p[o == 1]
    shown_items = log["item_id"].value_counts().to_numpy()
    apart = np.abs(shown_items[:, None] - shown_items[None, :]).mean()
    expected = {
        "impressions": (ROWS, ROWS),
        "clicks": (o.sum(), p.sum()),
        "conversions": (log["conversion"].sum(), truth.pctcvr.sum()),
        "CTR": (o.mean(), p.mean()),
        "CVR on clicks": (r[o == 1].mean(), truth.pctcvr.sum() / p.sum()),
        "CVR on non-clicks": (
            r[o == 0].mean(),
            ((truth.pcvr - truth.pctcvr).sum()) / (1 - p).sum(),
        ),
        "CVR over all impressions": (r.mean(), truth.pcvr.mean()),
        "CVR on clicks / over all": (
            r[o == 1].mean() / r.mean(),
            truth.pctcvr.sum() / p.sum() / truth.pcvr.mean(),
        ),
        "effective sample size, weights 1/p": (
            w.sum() ** 2 / (w**2).sum(),
            ROWS**2 / (1 / p).sum(),
        ),
        "effective sample size / clicks": (
            w.sum() ** 2 / (w**2).sum() / o.sum(),
            ROWS**2 / (1 / p).sum() / p.sum(),
        ),
        "largest weight 1/p": (w.max(), np.nan),
        "Gini of items' impressions": (apart / (2 * shown_items.mean()), np.nan),
        "users without a conversion": (
            1 - log.loc[log["conversion"] == 1, "user_id"].nunique() / log["user_id"].nunique(),
            np.nan,
        ),
    }
    for name, values in expected.items():
        row = found.table.loc[name, ["drawn", "expected"]].to_numpy(dtype=float)
        np.testing.assert_allclose(row, values, rtol=1e-9, err_msg=name)
    rest = set(found.table.index) - set(expected)
    assert rest == {
        "overlap of clicks and non-clicks",
        *(f"propensity, {share} quantile" for share in ("1%", "50%", "99%")),
    }


def test_every_figure_names_its_space(found):
    assert set(found.table["space"]) == {
        "all",
        "clicks",
        "non-clicks",
        "clicks, all",
    }
    for name, space in found.table["space"].items():
        if name.startswith("CVR on"):
            assert space.startswith(name.split(" / ")[0].removeprefix("CVR on "))


def test_quantiles_and_overlap_are_those_of_the_propensities(drawn, found):
    p = drawn[1].pctr
    for name, share in (("1%", 0.01), ("50%", 0.5), ("99%", 0.99)):
        value = found.table.loc[f"propensity, {name} quantile", "expected"]
        assert value == pytest.approx(np.quantile(p, share), rel=1 / 64)
    # Two densities, p and 1 - p over the impressions: rows in order of p, cut where they cross.
    clicks, others = p / p.sum(), (1 - p) / (1 - p).sum()
    common = found.table.loc["overlap of clicks and non-clicks", "expected"]
    assert common == pytest.approx(np.minimum(clicks, others).sum(), abs=1e-3)


def test_deciles_group_the_impressions_by_their_propensity(drawn, found):
    log, truth, _ = drawn
    order = np.argsort(truth.pctr, kind="stable")
    sizes = found.deciles["impressions"].to_numpy()
    assert len(sizes) == 10
    assert sizes.sum() == ROWS
    np.testing.assert_allclose(sizes, ROWS / 10, rtol=0.1)
    start = 0
    for size, (_, row) in zip(sizes, found.deciles.iterrows(), strict=True):
        rows = order[start : start + size]
        start += size
        p, o, r = truth.pctr[rows], log["click"].to_numpy()[rows], truth.potential[rows]
        assert row["propensity"] == pytest.approx(p.mean(), rel=1e-9)
        assert row["all"] == pytest.approx(truth.pcvr[rows].mean(), rel=1e-9)
        assert row["clicks"] == pytest.approx(truth.pctcvr[rows].sum() / p.sum(), rel=1e-9)
        off = (truth.pcvr - truth.pctcvr)[rows].sum() / (1 - p).sum()
        assert row["non-clicks"] == pytest.approx(off, rel=1e-9)
        assert row["drawn"] == pytest.approx(r[o == 1].mean(), rel=1e-9)
        assert row["drawn_clicks"] == o.sum()
    assert (found.deciles["clicks"] > found.deciles["all"]).all(), "the scenario has a confounder"


def test_the_lorenz_curve_and_the_users(drawn, found):
    log = drawn[0]
    counts = np.sort(log["item_id"].value_counts().to_numpy())
    for share in (0.0, 0.25, 0.5, 1.0):
        lowest = counts[: round(share * len(counts))].sum() / ROWS
        assert found.items.loc[share, "impressions"] == pytest.approx(lowest, abs=2e-4)
    assert (found.items.diff().iloc[1:] >= -1e-12).all(axis=None)
    users = log.groupby("user_id")["conversion"].sum().value_counts().sort_index()
    assert found.users.to_dict() == users.to_dict()


def test_chunks_give_the_same_summary(drawn, found):
    log, truth, schema = drawn
    cuts = [0, 1, 7, 20_000, 20_000, ROWS]
    chunks = ((log.iloc[a:b], truth.take(np.arange(a, b))) for a, b in pairwise(cuts))
    again = SimulationSummary.from_chunks(chunks, schema)
    for name in ("table", "deciles", "propensity", "items"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name), rtol=1e-9)
    pd.testing.assert_series_equal(again.users, found.users)


def test_shards_are_summarised_as_they_stream(tmp_path):
    simulator = simulate.scenario("clean")
    written = simulate.write_shards(simulator, 5000, tmp_path, seed=0, shard_rows=2000)
    table = SimulationSummary.from_chunks(
        simulate.read_shards(tmp_path, batch_rows=300), simulator.schema
    ).table
    assert table.loc["clicks", "drawn"] == written.totals["click"]
    assert table.loc["clicks", "expected"] == pytest.approx(written.totals["true_pctr"])
    assert table.loc["conversions", "drawn"] == written.totals["conversion"]


def test_immature_conversions_are_counted_apart():
    simulator = simulate.scenario("delayed")
    log, truth = simulator.sample(20_000, np.random.default_rng(0))
    table = SimulationSummary.from_log(log, truth, simulator.schema).table
    clicks = log["click"] == 1
    seen = table.loc["CVR on clicks"]
    later = table.loc["CVR on clicks, mature"]
    assert seen["drawn"] == pytest.approx(log.loc[clicks, "conversion"].mean())
    assert later["drawn"] == pytest.approx(truth.potential[clicks].mean())
    assert later["expected"] == pytest.approx(truth.pctcvr.sum() / truth.pctr.sum())
    assert seen["expected"] < 0.95 * later["expected"]
    for row in (seen, later):
        sigma = np.sqrt(row["expected"] * (1 - row["expected"]) / clicks.sum())
        assert abs(row["drawn"] - row["expected"]) < 4 * sigma  # seed 0


def test_stages_between_are_counted():
    simulator = simulate.scenario("esm2_cart")
    log, truth = simulator.sample(5000, np.random.default_rng(0))
    table = SimulationSummary.from_log(log, truth, simulator.schema).table
    (middle,) = simulator.schema.funnel.names[1:-1]
    column = simulator.schema.labels[middle]
    assert table.loc[f"{middle}s", "drawn"] == log[column].sum()
    assert table.loc[f"{middle}s", "expected"] == pytest.approx(truth.further[middle].sum())


def tiny(click, p, q=0.5):
    click = np.asarray(click)
    p = np.full(len(click), p) if np.isscalar(p) else np.asarray(p)
    q = np.full(len(click), q)
    log = pd.DataFrame({"who": ["a", "b"] * (len(click) // 2), "click": click, "order": click})
    truth = FunnelTruth(p, q, p * q, p, q, np.ones(len(click)))
    schema = Schema(labels={"click": "click", "conversion": "order"}, ids=["who"], group="who")
    return log, truth, schema


def test_a_log_without_clicks_or_items_says_so_with_nan(tmp_path):
    table = SimulationSummary.from_log(*tiny([0] * 40, 0.25)).table
    assert table.loc["CTR", "drawn"] == 0
    for name in ("CVR on clicks", "effective sample size, weights 1/p"):
        assert np.isnan(table.loc[name, "drawn"])
    assert table.loc["CVR on clicks", "expected"] == pytest.approx(0.5)
    assert table.loc["CVR on non-clicks", "drawn"] == 1
    assert np.isnan(table.loc["Gini of items' impressions", "drawn"])
    found = SimulationSummary.from_log(*tiny([0] * 40, 0.25))
    assert found.items.empty
    found.plot(tmp_path / "scenario.png")
    assert (tmp_path / "scenario.png").read_bytes()[:4] == b"\x89PNG"


def test_one_propensity_is_one_group_and_all_in_common():
    found = SimulationSummary.from_log(*tiny([1, 0] * 20, 0.25))
    assert len(found.deciles) == 1
    assert found.deciles.loc[1, "impressions"] == 40
    assert found.table.loc["overlap of clicks and non-clicks", "expected"] == pytest.approx(1)
    assert found.table.loc["effective sample size, weights 1/p", "drawn"] == pytest.approx(20)


def test_propensities_of_zero_and_one_are_no_trouble(tmp_path):
    log, truth, schema = tiny([1, 0] * 20, np.array([1.0, 0.0] * 20))
    found = SimulationSummary.from_log(log, truth, schema)
    assert found.table.loc["overlap of clicks and non-clicks", "expected"] == 0
    assert found.table.loc["effective sample size, weights 1/p", "drawn"] == pytest.approx(20)
    assert found.table.loc["effective sample size, weights 1/p", "expected"] == 20
    assert found.propensity[["all", "clicks", "non-clicks"]].sum().tolist() == pytest.approx(
        [1] * 3
    )
    found.plot(tmp_path / "scenario.svg")


def test_what_cannot_be_summarised_is_refused(drawn):
    log, truth, schema = drawn
    with pytest.raises(DataError, match="at least one row"):
        SimulationSummary.from_log(log.iloc[:0], truth.take(np.arange(0)), schema)
    with pytest.raises(DataError, match="the same rows, found 10 and 60,000"):
        SimulationSummary.from_log(log.iloc[:10], truth, schema)


def test_it_is_ready_for_json(found):
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    by_name = {row["name"]: row for row in content["table"]}
    assert by_name["largest weight 1/p"]["expected"] is None
    assert by_name["CTR"]["drawn"] == found.table.loc["CTR", "drawn"]
    assert [row["decile"] for row in content["deciles"]] == list(range(1, 11))


def test_the_plot_shows_the_values_of_the_summary(found):
    figure = found.plot()
    panels = figure.get_axes()
    assert len(panels) == 6
    for panel in panels[:5]:
        assert panel.get_xlabel()
        assert panel.get_ylabel()
    heights = [bar.get_height() for bar in panels[0].patches]
    # Half a thousandth is left out at either end.
    assert sum(heights) == pytest.approx(1, abs=2e-3)
    assert sum(bar.get_height() for bar in panels[4].patches) == pytest.approx(1)
    lines = {line.get_label(): line for line in panels[2].get_lines()}
    np.testing.assert_allclose(lines["clicks, true"].get_ydata(), found.deciles["clicks"])
    np.testing.assert_allclose(lines["all impressions, true"].get_ydata(), found.deciles["all"])
    curves = {line.get_label(): line for line in panels[3].get_lines()}
    np.testing.assert_allclose(curves["impressions"].get_ydata(), found.items["impressions"])
    texts = [text.get_text() for text in panels[5].texts]
    assert f"{found.table.loc['CTR', 'drawn']:.3%}" in texts
    for name in found.table.index:
        assert name in texts


@pytest.mark.parametrize("counts", [[1, 2, 3, 10], [5], [0, 0, 7], list(range(50))])
def test_gini_is_half_the_mean_difference_over_the_mean(counts):
    values = np.array(counts, dtype=float)
    apart = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(pd.Series(values)) == pytest.approx(apart / 2 / values.mean())


def test_gini_of_nothing_is_nan():
    assert np.isnan(gini(pd.Series([], dtype=float)))
    assert np.isnan(gini(pd.Series([0.0, 0.0])))


def test_a_funnel_of_other_names_is_named_so():
    log, truth, schema = tiny([1, 0] * 20, 0.25)
    renamed = replace(
        schema,
        labels={"visit": "click", "purchase": "order"},
        funnel=Funnel.chain("visit", "purchase"),
    )
    index = SimulationSummary.from_log(log, truth, renamed).table.index
    assert {"visits", "purchases"} <= set(index)
