"""Every metric is what NumPy or scikit-learn make of the same rows."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error, roc_auc_score

from mtl_seq.report.compute.metrics import EvaluationTarget, measure

ROWS = 400
RNG = np.random.default_rng(0)
LABEL = (RNG.random(ROWS) < 0.3).astype(np.float64)
TRUTH = RNG.random(ROWS)
GROUP = RNG.integers(60, size=ROWS)
SOME = np.arange(ROWS) % 5 < 2  # 160 rows
ALL = np.ones(ROWS, dtype=bool)
MODELS = {name: {"pctr": RNG.random(ROWS), "pcvr": RNG.random(ROWS)} for name in ("one", "two")}
METRICS = ["relative_bias", "mean_bias", "pcoc", "log_loss", "rmse", "auc", "ece"]


def measured(*targets, models=MODELS, replicates=20, seed=0):
    return measure(models, targets, GROUP, replicates=replicates, seed=seed)


def metric_rows(found, model="one", quantity="pcvr", space="all"):
    table = found.table
    at = table["model"].eq(model) & table["quantity"].eq(quantity) & table["space"].eq(space)
    return table[at].set_index("metric")


def ece(p, y):
    """Mean distance of means in 20 runs of the sorted rows, all of one length."""
    runs = np.array_split(np.argsort(p), 20)
    return np.mean([abs(p[run].mean() - y[run].mean()) for run in runs])


@pytest.mark.parametrize("rows", [ALL, SOME], ids=["all", "some"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("quantity", ["pctr", "pcvr"])
def test_metrics_on_labels(model, quantity, rows):
    found = measured(*(EvaluationTarget(q, "there", rows, LABEL) for q in ("pctr", "pcvr")))
    p, y = MODELS[model][quantity][rows], LABEL[rows]
    own = metric_rows(found, model, quantity, "there")
    assert own["value"].to_dict() == pytest.approx(
        {
            "relative_bias": p.mean() / y.mean() - 1,
            "mean_bias": p.mean() - y.mean(),
            "pcoc": p.sum() / y.sum(),
            "log_loss": log_loss(y, p),
            "rmse": np.sqrt(mean_squared_error(y, p)),
            "auc": roc_auc_score(y, p),
            "ece": ece(p, y),
        },
        abs=1e-12,
    )
    assert own["reason"].isna().all()


def test_metrics_against_probabilities_are_expectations_over_labels():
    p = MODELS["one"]["pcvr"]
    value = metric_rows(measured(EvaluationTarget("pcvr", "all", ALL, TRUTH)))["value"]
    both = np.repeat([1, 0], ROWS), np.tile(p, 2)
    weight = np.concatenate((TRUTH, 1 - TRUTH))
    assert value["log_loss"] == pytest.approx(log_loss(*both, sample_weight=weight), abs=1e-12)
    assert value["auc"] == pytest.approx(roc_auc_score(*both, sample_weight=weight), abs=1e-12)
    assert value["rmse"] == pytest.approx(np.sqrt(((p - TRUTH) ** 2).mean()), abs=1e-12)
    assert value["relative_bias"] == pytest.approx(p.mean() / TRUTH.mean() - 1, abs=1e-12)
    assert value["ece"] == pytest.approx(ece(p, TRUTH), abs=1e-12)


def test_the_truth_itself_has_no_error_and_the_least_log_loss():
    models = {"one": {"pcvr": TRUTH}, "two": {"pcvr": np.clip(TRUTH + 0.05, 0, 1)}}
    found = measured(EvaluationTarget("pcvr", "all", ALL, TRUTH), models=models)
    value = metric_rows(found)["value"]
    for name in ("relative_bias", "mean_bias", "rmse", "ece"):
        assert value[name] == pytest.approx(0, abs=1e-12)
    entropy = -(TRUTH * np.log(TRUTH) + (1 - TRUTH) * np.log(1 - TRUTH)).mean()
    assert value["log_loss"] == pytest.approx(entropy, abs=1e-12)
    assert metric_rows(found, "two")["value"]["log_loss"] > entropy


def test_sure_predictions_that_are_wrong_have_a_finite_loss():
    models = {"one": {"pcvr": 1 - LABEL}}
    value = metric_rows(measured(EvaluationTarget("pcvr", "all", ALL, LABEL), models=models))[
        "value"
    ]
    assert 20 < value["log_loss"] < 40
    assert value["auc"] == 0


def test_order_of_rows_and_names_follow_the_targets():
    table = measured(
        EvaluationTarget("pctr", "all", ALL, LABEL), EvaluationTarget("pcvr", "x", SOME, LABEL)
    ).table
    keys = ["model", "quantity", "space"]
    assert list(table) == [*keys, "metric", "value", "low", "high", "reason"]
    asked = table[keys].drop_duplicates().to_numpy().tolist()
    assert asked == [[m, q, s] for m in ("one", "two") for q, s in (("pctr", "all"), ("pcvr", "x"))]
    assert table["metric"].tolist() == METRICS * 4


def test_a_space_without_rows_has_no_figure_and_says_so():
    nowhere = EvaluationTarget("pcvr", "clicks", ~ALL, LABEL)
    own = metric_rows(
        measured(nowhere, EvaluationTarget("pctr", "all", ALL, LABEL)), space="clicks"
    )
    assert own[["value", "low", "high"]].isna().all(axis=None)
    assert set(own["reason"]) == {"no rows in space 'clicks'"}


@pytest.mark.parametrize(
    ("label", "reason", "undefined"),
    [
        (0.0, "no positive in space 'clicks'", {"relative_bias", "pcoc", "auc"}),
        (1.0, "no negative in space 'clicks'", {"auc"}),
    ],
)
def test_a_space_without_both_labels_lacks_what_needs_them(label, reason, undefined):
    own = metric_rows(
        measured(EvaluationTarget("pcvr", "clicks", SOME, np.full(ROWS, label))), space="clicks"
    )
    missing = own["value"].isna()
    assert set(own.index[missing]) == undefined
    assert set(own["reason"][missing]) == {reason}
    assert own["reason"][~missing].isna().all()
    assert own.loc[list(undefined), ["low", "high"]].isna().all(axis=None)


def test_ece_has_no_interval_and_every_other_metric_has_one_about_its_value():
    own = metric_rows(measured(EvaluationTarget("pcvr", "all", ALL, LABEL), replicates=200))
    assert own.loc["ece", ["low", "high"]].isna().all()
    others = own.drop("ece")
    assert ((others["low"] < others["value"]) & (others["value"] < others["high"])).all()


def test_all_models_meet_the_same_resamples():
    # One model says exactly 0.1 more than the other: resampled together they always differ by it.
    p = 0.8 * TRUTH
    models = {"one": {"pcvr": p}, "two": {"pcvr": p + 0.1}}
    replicates = measured(EvaluationTarget("pcvr", "all", ALL, TRUTH), models=models).replicates
    one, two = (replicates[name, "pcvr", "all", "mean_bias"] for name in models)
    assert one.std() > 0
    np.testing.assert_allclose(two - one, 0.1, rtol=1e-12)
    auc = [replicates[name, "pcvr", "all", "auc"] for name in models]
    np.testing.assert_allclose(auc[0], auc[1], rtol=1e-12)


def test_intervals_are_those_quantiles_of_the_resampled_values():
    found = measured(EvaluationTarget("pcvr", "all", ALL, LABEL), replicates=50)
    own = metric_rows(found)
    for name in METRICS[:-1]:
        drawn = found.replicates["one", "pcvr", "all", name]
        assert drawn.shape == (50,)
        expected = np.quantile(drawn, [0.05, 0.95])
        np.testing.assert_allclose(own.loc[name, ["low", "high"]].astype(float), expected)


def test_values_do_not_depend_on_the_seed_and_intervals_do():
    target = EvaluationTarget("pcvr", "all", ALL, LABEL)
    one, same, other = (metric_rows(measured(target, seed=seed)) for seed in (1, 1, 2))
    assert one.equals(same)
    assert one["value"].equals(other["value"])
    assert not one["low"].equals(other["low"])
