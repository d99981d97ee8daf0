"""What a report reads of a log, what it refuses, and what it states."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from unit.report.reports import KNOWN, LOG, MODELS, RULE, SIMULATOR, known, observed

from mtl_seq import BiasReport
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.report.compute.inputs import choose_control, random_rows


def test_rows_shown_at_random_are_those_marked():
    for mark in (LOG["shown_at_random"], LOG["shown_at_random"].astype(bool)):
        found = random_rows(LOG.assign(mark=mark), "mark")
        np.testing.assert_array_equal(found, LOG["shown_at_random"] == 1)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (2, r"must hold 0 and 1, found others in 3,000 rows \(first: 0, 1, 2\)"),
        (0, "must mark some rows and not all, found 0 of 3,000"),
        (1, "must mark some rows and not all, found 3,000 of 3,000"),
    ],
)
def test_marks_that_separate_nothing_are_refused(mark, said):
    with pytest.raises(DataError, match=said):
        random_rows(LOG.assign(mark=mark), "mark")


def test_a_missing_mark_is_refused():
    marks = LOG["shown_at_random"].where(LOG.index != 7)
    with pytest.raises(DataError, match=r"1 row \(first: 7\)"):
        random_rows(LOG.assign(mark=marks), "mark")
    with pytest.raises(SchemaError, match="must name a column of the log, found 'mark'"):
        random_rows(LOG, "mark")


def test_the_control_is_multitask_then_the_naive_then_none():
    assert choose_control(None, ["esmm", "multitask", "naive"], "naive") == "multitask"
    assert choose_control(None, ["esmm", "naive"], "naive") == "naive"
    assert choose_control(None, ["esmm"], "naive") is None
    assert choose_control("esmm", ["esmm", "multitask"], "naive") == "esmm"
    with pytest.raises(DataError, match=r"one of the models \['esmm'\], found 'lgbm'"):
        choose_control("lgbm", ["esmm"], "naive")


def test_a_logged_propensity_is_shown_before_the_models():
    log = LOG.assign(logged=KNOWN.pctr)
    schema = replace(SIMULATOR.schema, propensity="logged")
    scores = {"multitask": MODELS["multitask"]}
    found = BiasReport.from_log(scores, log, schema=schema, replicates=2).overlap
    assert found.source == "logged propensity"
    assert found.weights["propensity"].tolist() == ["logged propensity", "multitask"]
    weight = 1 / KNOWN.pctr[LOG["click"] == 1]
    size = weight.sum() ** 2 / (weight**2).sum()
    assert found.weights["effective_size"].iloc[0] == pytest.approx(size)
    bad = log.assign(logged=log["logged"].where(log.index != 3, 0))
    with pytest.raises(DataError, match=r"propensity 'logged' is outside \(0, 1\) in 1 row"):
        BiasReport.from_log(scores, bad, schema=schema, replicates=2)
    plain = BiasReport.from_log(scores, LOG, schema=schema, replicates=2).overlap
    assert plain.source == "multitask"


def test_metadata_are_those_of_the_log():
    metadata = observed().metadata
    assert metadata["impressions"] == len(LOG)
    assert metadata["users"] == LOG["user_id"].nunique()
    assert metadata["clicks"] == LOG["click"].sum()
    assert metadata["conversions"] == LOG["conversion"].sum()
    assert metadata["CTR"] == LOG["click"].mean()
    assert metadata["CVR on clicks"] == pytest.approx(LOG["conversion"].sum() / LOG["click"].sum())
    assert metadata["checkpoint rule"] == RULE
    assert metadata["seed of the resamples"] == 0
    assert "bootstrap of users (user_id), 20 resamples" in metadata["intervals"]


def test_metadata_of_the_caller_come_first_and_keep_their_versions():
    mine = {"model zoo": "v3", "versions": "mine 1.0"}
    scores = {"multitask": MODELS["multitask"]}
    report = BiasReport.from_log(scores, LOG, schema=SIMULATOR.schema, metadata=mine, replicates=2)
    assert next(iter(report.metadata)) == "model zoo"
    assert report.metadata["versions"] == "mine 1.0"
    assert report.control == "multitask"
    assert report.lead is None
    assert len(report.differences) == 0


def test_predictions_of_a_log_with_ids_need_not_be_in_its_order():
    log = LOG.assign(impression=np.arange(len(LOG)) + 10**15)
    order = np.random.default_rng(0).permutation(len(log))
    scores = {
        name: frame.assign(key=log["impression"])
        .rename(columns={"pcvr": "my_cvr"})
        .iloc[order]
        .reset_index(drop=True)
        for name, frame in MODELS.items()
    }
    found = BiasReport.from_log(
        {name: frame.rename(columns={"key": "impression"}) for name, frame in scores.items()},
        log,
        schema=SIMULATOR.schema,
        columns={"pcvr": "my_cvr"},
        row_id="impression",
        replicates=20,
    )
    plain = BiasReport.from_log(MODELS, LOG, schema=SIMULATOR.schema, replicates=20)
    pd.testing.assert_frame_equal(found.metrics, plain.metrics)


def test_differences_in_a_report_are_those_of_its_figures():
    report = known()
    for name in set(report.models) - {"multitask"}:
        for metric in ("relative_bias", "log_loss", "auc", "rmse"):
            one, other = (
                report.estimate(m, "pcvr", "all", metric).value for m in (name, "multitask")
            )
            found = report.difference(name, "pcvr", "all", metric)
            assert found.value == pytest.approx(one - other, abs=1e-15)
            assert found.low <= found.value <= found.high
    with pytest.raises(DataError, match="no metric"):
        report.difference("multitask", "pcvr", "all", "auc")


def test_labels_give_the_true_probabilities_away_within_their_intervals():
    """The truth, scored on drawn labels, is right within four standard errors; 1.3 q is 1.3."""
    exact = pd.DataFrame(
        {"pctr": KNOWN.pctr, "pcvr": KNOWN.pcvr_clicked, "pctcvr": KNOWN.pctcvr}, index=LOG.index
    )
    high = exact.assign(pcvr=1.3 * exact["pcvr"], pctcvr=1.3 * exact["pctcvr"])
    assert high["pcvr"].max() <= 1
    report = BiasReport.from_log({"exact": exact, "high": high}, LOG, schema=SIMULATOR.schema)
    for at in (("pctr", "all"), ("pctcvr", "all"), ("pcvr", "clicks")):
        for name, right in (("exact", 1.0), ("high", 1.0 if at[0] == "pctr" else 1.3)):
            found = report.estimate(name, *at, "pcoc")
            error = (found.high - found.low) / (2 * 1.645)
            assert 0 < error < 0.15 * right
            assert abs(found.value - right) < 4 * error
