"""The search: an objective over all impressions, and studies that resume."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, models, nn
from mtl_seq.cli import main
from mtl_seq.data.parquet.split import split_frame
from mtl_seq.errors import ArtifactError, CompositionError
from mtl_seq.models import Choice, Range
from mtl_seq.simulate import scenario
from mtl_seq.tune import Reference, Tuned, entire_space_loss, tune

SCENARIO = scenario("dense", seed=0)
LOG, _ = SCENARIO.sample(2_000, np.random.default_rng(0))
SCHEMA = SCENARIO.schema
SMALL = partial(models.esmm, bottom=partial(nn.SharedBottom, hidden=(8,)))
RATES = {"lr": Choice((1e-7, 1e-2))}


def search(folder, **more):
    return tune(SMALL, SCHEMA, LOG, folder, **{"epochs": 1, "space": RATES, "trials": 3, **more})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "study"
    lines = []
    return search(folder, callback=lines.append), folder, lines


def log_loss(p, label):
    return -(label * np.log(p) + (1 - label) * np.log(1 - p))


def by_numpy(estimate, pcvr, click, conversion, reference, weight=None):
    """The three estimates by their formulas."""
    weight = np.ones(len(pcvr)) if weight is None else weight
    inverse = np.where(click == 1, 1 / reference.propensity, 0)
    if estimate == "dr":
        label = reference.imputation + inverse * (conversion - reference.imputation)
        return (weight * log_loss(pcvr, label)).sum() / weight.sum()
    loss = (weight * inverse * log_loss(pcvr, conversion)).sum()
    return loss / (weight.sum() if estimate == "ips" else (weight * inverse).sum())


@pytest.mark.parametrize("estimate", ["dr", "snips", "ips"])
def test_the_objective_is_its_formula(estimate):
    rng = np.random.default_rng(1)
    pcvr, propensity, imputation = rng.uniform(0.05, 0.95, (3, 500))
    click = (rng.random(500) < propensity).astype(float)
    conversion = click * (rng.random(500) < 0.4)
    reference = Reference(propensity, imputation)
    for weight in (None, rng.uniform(0, 2, 500)):
        rows = (estimate, pcvr, click, conversion, reference, weight)
        assert entire_space_loss(*rows) == pytest.approx(by_numpy(*rows), rel=1e-12)


@pytest.mark.parametrize("estimate", ["dr", "snips", "ips"])
def test_with_the_true_propensity_it_is_the_loss_of_all_impressions(estimate):
    """Exactly: each row stands there once for each outcome, weighted by its probability."""
    rng = np.random.default_rng(2)
    pcvr, p, q, imputation = rng.uniform(0.05, 0.95, (4, 200))
    outcomes = [(0, 0, 1 - p), (1, 0, p * (1 - q)), (1, 1, p * q)]
    click, conversion = (np.repeat([one[i] for one in outcomes], 200) for i in (0, 1))
    weight = np.concatenate([one[2] for one in outcomes])
    reference = Reference(np.tile(p, 3), np.tile(imputation, 3))
    rows = (np.tile(pcvr, 3), click, conversion, reference, weight)
    assert entire_space_loss(estimate, *rows) == pytest.approx(log_loss(pcvr, q).mean(), rel=1e-12)


def test_the_better_of_two_settings_is_found(study):
    found, _, lines = study
    tried = found.trials.groupby("lr")["value"].first()
    assert set(tried.index) == {1e-7, 1e-2}
    assert tried[1e-2] < tried[1e-7]
    assert found.value == min(found.default, tried[1e-2])
    # The default rate lies between the two: a search that does not beat it keeps it.
    assert found.settings == ({"lr": 1e-2} if tried[1e-2] < found.default else {})
    assert len(lines) == 4
    assert lines[0] == f"defaults: {found.default:.5f}"
    assert lines[1].startswith("trial 1: ")


def test_its_values_are_those_of_fits_by_hand(study):
    found, folder, _ = study
    fitted, held = split_frame(SCHEMA, LOG, 0.2, 0)
    rows, held = LOG.iloc[fitted], LOG.iloc[held]
    reference = pd.read_parquet(folder / "reference.parquet")
    click, conversion = (held[column].to_numpy() for column in SCHEMA.labels.values())

    def loss(**settings):
        estimator = FunnelEstimator(SMALL, SCHEMA, epochs=1, seed=0, **settings)
        pcvr = estimator.fit(rows, validation=held).predict(held)["pcvr"].to_numpy()
        return by_numpy("dr", pcvr, click, conversion, reference)

    assert found.default == pytest.approx(loss(), rel=1e-9)
    for lr, value in found.trials.groupby("lr")["value"].first().items():
        assert value == pytest.approx(loss(lr=lr), rel=1e-9)


def test_the_reference_is_the_control_and_not_what_is_tried(study):
    _, folder, _ = study
    reference = pd.read_parquet(folder / "reference.parquet")
    fitted, held = split_frame(SCHEMA, LOG, 0.2, 0)
    control = FunnelEstimator(models.multitask, SCHEMA, seed=0)
    scores = control.fit(LOG.iloc[fitted], validation=LOG.iloc[held]).predict(LOG.iloc[held])
    floor = np.quantile(scores["pctr"], 0.01, method="inverted_cdf")
    np.testing.assert_allclose(reference["propensity"], np.maximum(scores["pctr"], floor))
    np.testing.assert_allclose(reference["imputation"], scores["pcvr"])


def test_a_study_resumes_where_it_stopped(study, tmp_path):
    found, folder, lines = study
    more = []
    again = search(folder, callback=more.append)
    assert more == []
    pd.testing.assert_frame_equal(again.trials, found.trials)
    assert (again.value, again.default, again.settings) == (
        found.value,
        found.default,
        found.settings,
    )

    def stop(line):
        if line.startswith("trial 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "stopped", callback=stop)
    finished = search(tmp_path / "stopped")
    assert len(finished.trials) == 3
    assert finished.default == found.default
    assert finished.trials["value"].iloc[0] == found.trials["value"].iloc[0]
    assert len(lines) == 4


def test_a_study_of_something_else_is_refused(study, tmp_path):
    _, folder, _ = study
    with pytest.raises(ArtifactError, match="a study of another seed"):
        search(folder, seed=1)
    with pytest.raises(ArtifactError, match="a study of another estimate"):
        search(folder, estimate="ips")
    with pytest.raises(ArtifactError, match="a study of another space"):
        search(folder, space={"lr": Range(1e-3, 1e-2)})
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ArtifactError, match="must be empty or hold a study"):
        search(tmp_path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"trials": 0}, "`trials` must be at least 1"),
        ({"estimate": "auc"}, "`estimate` must be one of"),
        ({"space": {"no_such": Choice((1, 2))}}, "has no argument 'no_such'"),
    ],
)
def test_bad_arguments_are_refused(more, message, tmp_path):
    with pytest.raises(CompositionError, match=message):
        search(tmp_path / "study", **more)


@pytest.mark.parametrize("model", [models.oracle, models.pairwise_ranker])
def test_what_has_no_such_loss_is_refused(model, tmp_path):
    with pytest.raises(CompositionError, match="must predict probabilities and train on a log"):
        tune(model, SCHEMA, LOG, tmp_path / "study")


def test_fit_takes_the_result(study, tmp_path, capsys):
    found, folder, _ = study
    best = Tuned.from_json(folder / "best.json")
    assert best.settings == found.settings
    LOG.to_parquet(tmp_path / "log.parquet")
    SCHEMA.to_json(tmp_path / "schema.json")
    written = Tuned(SMALL, {"lr": 0.02, "embedding": 4, "batch_size": 64}, 1.0, 1.0, "dr", LOG)
    written.to_json(tmp_path / "best.json")
    files = [str(tmp_path / "log.parquet"), "--schema", str(tmp_path / "schema.json")]
    out = tmp_path / "model"
    arguments = ["fit", *files, "--settings", str(tmp_path / "best.json"), "--out", str(out)]
    assert main([*arguments, "--epochs", "1", "--quiet"]) == 0
    fitted = FunnelEstimator.load(out)
    assert (fitted.lr, fitted.batch_size, fitted.encoding.embedding) == (0.02, 64, 4)
    assert fitted.model_.network.bottom.out_features == 8
    content = json.loads((tmp_path / "best.json").read_text(encoding="utf-8"))
    content["settings"]["trainer"] = {}
    (tmp_path / "best.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(arguments) == 2
    assert "found ['trainer']" in capsys.readouterr().err


def test_the_command_searches_and_prints_the_next_command(tmp_path, capsys):
    LOG.iloc[:800].to_parquet(tmp_path / "log.parquet")
    SCHEMA.to_json(tmp_path / "schema.json")
    out = tmp_path / "tuned"
    arguments = [
        *("tune", str(tmp_path / "log.parquet"), "--schema", str(tmp_path / "schema.json")),
        *("--out", str(out), "--bottom", "shared", "--trials", "1", "--epochs", "1"),
    ]
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert printed["trials"] == 1
    assert printed["value"] == min(printed["default"], Tuned.from_json(out / "best.json").value)
    assert "all impressions" in printed["objective"]
    assert "--settings" in printed["command"]
    assert "trial 1: " in captured.err
    assert main(arguments) == 0
    assert "doubly robust estimate of the log loss of pCVR" in capsys.readouterr().out
