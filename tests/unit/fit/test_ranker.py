"""Rankers through the estimator: what they predict, what is reported of them, what is refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from mtl_seq import BiasReport, FunnelEstimator, losses, models, nn
from mtl_seq.cli.console import print_report
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.functional import auc
from mtl_seq.losses import EntireSpace, Objective, RankNet
from mtl_seq.models import CalibrationConfig, assemble
from mtl_seq.report.render.headline import headline
from mtl_seq.report.render.html import write_report
from mtl_seq.simulate import LogisticFunnel

SIMULATOR = LogisticFunnel(users=200, items=60, ctr=0.3, cvr=0.4, rho=0.6, seed=0)
LOG, _ = SIMULATOR.sample(20_000, np.random.default_rng(5))
TEST, TRUTH = SIMULATOR.sample(10_000, np.random.default_rng(6))
SMALL = partial(nn.SharedBottom, hidden=(16,))


def estimator(model=models.pairwise_ranker, schema=SIMULATOR.schema, **settings):
    build = partial(model, bottom=SMALL)
    return FunnelEstimator(build, schema, **{"epochs": 2, "seed": 0, **settings})


@pytest.fixture(scope="module")
def scores():
    builders = {
        "pairwise": models.pairwise_ranker,
        "pool": partial(models.pairwise_ranker, comparisons=losses.DrawnPairs(pool=True)),
        "lambda": models.lambda_ranker,
        "esmm": models.esmm,
    }
    return {name: estimator(build).fit(LOG).predict(TEST) for name, build in builders.items()}


def grouped(score):
    """AUC of the score against the true pCTCVR within users, by NumPy."""

    found = []
    for rows in TEST.reset_index(drop=True).groupby("user_id").groups.values():
        target = torch.from_numpy(TRUTH.pctcvr[rows])
        found.append(float(auc(torch.from_numpy(score[rows].copy()), target)))
    return float(np.nanmean(found))


@pytest.mark.parametrize("name", ["pairwise", "pool", "lambda"])
def test_a_ranker_orders_a_users_impressions(scores, name):
    assert list(scores[name].columns) == ["score"]
    ideal = grouped(TRUTH.pctcvr)
    noise = np.random.default_rng(0).random(len(TEST))
    assert abs(grouped(noise) - 0.5) < 0.02
    # It closes a good part of the way from chance to the truth itself.
    assert grouped(scores[name]["score"].to_numpy()) > 0.5 + 0.5 * (ideal - 0.5)


# Few impressions a user, as in a real log: his own history is then mostly the row's own label.
FEW = LogisticFunnel(users=1500, items=60, ctr=0.3, cvr=0.4, rho=0.6, seed=0)


@pytest.mark.parametrize("model", [models.pairwise_ranker, models.lambda_ranker])
def test_a_users_own_history_does_not_turn_the_order_round(model):
    log, _ = FEW.sample(12_000, np.random.default_rng(5))
    test, truth = FEW.sample(8_000, np.random.default_rng(6))
    one = estimator(model, FEW.schema, epochs=1, batch_size=64).fit(log)
    seen = one.model_.network.features
    assert {"user_id", "item_id:click", "item_id:count"} <= set(seen)
    assert not any(name.startswith("user_id:") for name in seen)
    target = torch.from_numpy(truth.pctcvr)
    order = float(auc(torch.from_numpy(one.predict(test)["score"].to_numpy(copy=True)), target))
    assert order > 0.6

    # What it would be with them: a user who clicks much is ranked low.
    def seeing(spec, *, funnel, seed):
        return model(replace(spec, of_group=()), funnel=funnel, bottom=SMALL, seed=seed)

    other = FunnelEstimator(seeing, FEW.schema, epochs=1, batch_size=64, seed=0).fit(log)
    score = torch.from_numpy(other.predict(test)["score"].to_numpy(copy=True))
    assert float(auc(score, target)) < order - 0.05


def test_the_report_compares_their_order_and_says_na_to_probabilities(scores, tmp_path):
    report = BiasReport.against_truth(scores, TEST, TRUTH, schema=SIMULATOR.schema, replicates=20)
    table = report.table
    for name in ("pairwise", "pool", "lambda"):
        assert table.loc[name, "AUC"].notna().all()
        assert table.drop(columns="AUC", level="metric").loc[name].isna().all()
        lost = report.metrics[report.metrics["model"] == name].query("metric != 'auc'")
        assert set(lost["reason"]) == {"a score that only ranks is no probability"}
        assert lost[["value", "low", "high"]].isna().all(axis=None)
    found = report.estimate("pairwise", "pctcvr", "all", "auc").value

    target = torch.from_numpy(TRUTH.pctcvr)
    own = auc(torch.from_numpy(scores["pairwise"]["score"].to_numpy(copy=True)), target)
    assert found == pytest.approx(float(own), abs=1e-12)
    said = " ".join(headline(report))
    assert "Ranking models, without probabilities: pairwise, pool, lambda." in said
    assert "Over all impressions esmm has the least log loss" in said
    assert "n/a" in (write_report(report, tmp_path)[0]).read_text()


def test_a_report_of_a_log_takes_them_too(scores):
    report = BiasReport.from_log(scores, TEST, schema=SIMULATOR.schema, replicates=20)
    row = report.table.loc["pairwise"]
    assert row[[label for label in row.index if "AUC" in label[0]]].notna().all()
    assert row[[label for label in row.index if "AUC" not in label[0]]].isna().all()
    assert set(report.overlap.weights["propensity"]) == {"esmm"}
    assert report.sensitivity.base == "esmm"


def test_one_ranker_alone_can_be_reported(scores, tmp_path, capsys):
    only = {"pairwise": scores["pairwise"]}
    report = BiasReport.against_truth(only, TEST, TRUTH, schema=SIMULATOR.schema, replicates=10)
    assert headline(report)[0] == "Ranking models, without probabilities: pairwise."
    write_report(report, tmp_path)
    print_report(report, [], quiet=False, as_json=False)
    shown = capsys.readouterr().out
    assert "n/a" in shown
    assert "nan" not in shown


def test_a_score_that_is_no_number_is_named(scores):
    broken = scores["pairwise"].copy()
    broken.iloc[3, 0] = np.nan
    with pytest.raises(DataError, match=r"score of 'mine' is NaN in 1 row \(first: 3\)"):
        BiasReport.against_truth({"mine": broken}, TEST, TRUTH, schema=SIMULATOR.schema)


def test_without_users_nothing_can_be_compared():
    with pytest.raises(DataError, match=r"give the schema its column, `Schema\(group=...\)`"):
        estimator(schema=replace(SIMULATOR.schema, group=None)).fit(LOG)


def test_without_a_graded_user_it_says_what_to_do():
    alone = LOG.assign(session=np.arange(len(LOG)))
    with pytest.raises(DataError, match=r"different grades, found none in 19,019 rows.*`group`"):
        estimator(schema=replace(SIMULATOR.schema, group="session")).fit(alone)


def test_a_ranking_loss_stands_alone():
    def both(spec, *, funnel, seed):
        objective = Objective({"ctr": EntireSpace(funnel.first), "rank": RankNet()})
        return assemble(spec, objective, funnel=funnel, bottom=SMALL, seed=seed)

    with pytest.raises(CompositionError, match=r"must be the only one.*found \('ctr', 'rank'\)"):
        FunnelEstimator(both, SIMULATOR.schema, epochs=1).fit(LOG)


def test_scores_are_not_calibrated():
    with pytest.raises(CompositionError, match="the scores of this model only rank"):
        estimator(calibrate=CalibrationConfig()).fit(LOG)


def test_a_ranker_needs_a_conversion_among_the_validation_rows():
    """The split asks for clicks only, and few rows may hold no conversion."""
    rare = LOG.assign(conversion=0)
    rare.iloc[np.flatnonzero(rare["click"])[:3], rare.columns.get_loc("conversion")] = 1
    with pytest.raises(DataError, match="must hold a conversion and another row, found 0"):
        estimator(validation=0.01).fit(rare)


def test_the_epoch_kept_is_the_one_with_the_best_order():
    one = estimator(epochs=5, lr=0.1, patience=5).fit(LOG, validation=TEST)
    assert one.run_.best_epoch == int(np.argmin(one.run_.validation_scores))

    label = torch.from_numpy(TEST["conversion"].to_numpy(dtype=float))
    score = torch.from_numpy(one.predict(TEST)["score"].to_numpy(copy=True))
    assert min(one.run_.validation_scores) == pytest.approx(1 - float(auc(score, label)), abs=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.DrawnPairs(0), "`per_group` must be at least 1, found 0"),
        (lambda: losses.WholeLists(1), "`longest` must be at least 2, found 1"),
        (lambda: RankNet({"click": -1}), "`grades` must be at least 0 and finite, found -1 for"),
        (lambda: RankNet({"click": float("inf")}), "`grades` must be at least 0 and finite"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(CompositionError, match=message):
        make()


def test_grades_of_other_stages_are_refused():
    with pytest.raises(CompositionError, match=r"name the funnel's stages \('click', 'conversion'"):
        estimator(partial(models.pairwise_ranker, grades={"buy": 3})).fit(LOG)
