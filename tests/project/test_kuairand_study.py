"""The KuaiRand study, on a generated log: it runs, goes on where it stopped, and measures right."""

import importlib
import json
import sys

import numpy as np
import pandas as pd
import pytest
from dataset_scripts import ROOT, script
from sklearn.metrics import log_loss, roc_auc_score

pytest.importorskip("lightgbm")
pytest.importorskip("torch_rechub")
pytest.importorskip("deepctr_torch")


@pytest.fixture
def bench(monkeypatch):
    """Loads a script of `benchmarks/`, whose neighbours it imports by name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    return importlib.import_module


@pytest.fixture
def raw(tmp_path):
    script("kuairand-pure", "sample").write_sample(tmp_path / "raw")
    return tmp_path / "raw"


def test_it_runs_and_goes_on_where_it_stopped(bench, raw, tmp_path, monkeypatch):
    study = bench("kuairand")
    some = ("logistic regression", "LightGBM, target encodings", "torch-rechub ESMM",
            "deepctr-torch MMoE, target encodings")  # fmt: skip
    peers = {
        name: study.PEERS[name]._replace(
            settings=dict(list(study.PEERS[name].settings.items())[-2:])
        )
        for name in some
    }
    monkeypatch.setattr(study, "PEERS", peers)
    monkeypatch.setattr(study, "CONVERSIONS", ("long_view",))
    monkeypatch.setattr(study, "TRIED", {"epochs 1": {"epochs": 1}})
    monkeypatch.setattr(study, "MODELS", {study.CONTROL: study.MODELS[study.CONTROL]})
    out = tmp_path / "found.json"
    arguments = [str(raw), "--seeds", "1", "--out", str(out)]
    assert study.main(arguments) == 0
    first = json.loads(out.read_text())
    tested = {cell["model"]: cell for cell in first["cells"] if cell["part"] == "test"}
    assert set(tested) == {study.CONTROL, *some}
    for name, cell in tested.items():
        # Users and videos move clicks, and everyone knows them.
        assert cell["CTR AUC, all"] > 0.6, name
        assert cell["CTCVR AUC, all"] > 0.6, name
    for name, peer in peers.items():
        tried = {
            c["settings"] for c in first["cells"] if (c["part"], c["model"]) == ("inner", name)
        }
        assert tried == set(peer.settings)
        assert set(tested[name]["settings"].split(" / ")) <= tried
    assert len(tested["logistic regression"]["settings"].split(" / ")) == 2

    def never(*_):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr(study, "ours", never)
    monkeypatch.setattr(study, "others", never)
    assert study.main(arguments) == 0
    assert json.loads(out.read_text())["cells"] == first["cells"]


def test_every_stage_is_measured_on_its_space(bench):
    rng = np.random.default_rng(0)
    click = rng.integers(2, size=500)
    test = pd.DataFrame({"click": click, "conversion": click * rng.integers(2, size=500)})
    scores = pd.DataFrame(rng.random((500, 3)), columns=["pctr", "pcvr", "pctcvr"])
    found = bench("kuairand_rows").measure(scores, test)
    own = click == 1
    for name, space, label, score in (
        ("CTR", "all", test["click"], scores["pctr"]),
        ("CVR", "clicks", test["conversion"][own], scores["pcvr"][own]),
        ("CTCVR", "all", test["conversion"], scores["pctcvr"]),
    ):
        assert found[f"{name} AUC, {space}"] == pytest.approx(roc_auc_score(label, score), abs=1e-5)
        assert found[f"{name} log loss, {space}"] == pytest.approx(log_loss(label, score), abs=1e-5)
        assert found[f"{name} PCOC, {space}"] == pytest.approx(
            score.mean() / label.mean(), abs=1e-5
        )


def test_no_row_of_the_test_days_reaches_what_settings_are_chosen_on(bench, raw):
    rows = bench("kuairand_rows")
    whole = rows.read(raw, "is_like")
    early = rows.inner(whole)
    assert early.train["time_ms"].max() < early.test["time_ms"].min()
    assert early.test["time_ms"].max() - early.test["time_ms"].min() <= rows.DAY
    assert early.test["time_ms"].max() < whole.test["time_ms"].min()
    both = pd.concat([early.train, early.test], ignore_index=True)
    pd.testing.assert_frame_equal(both, whole.train)


def test_two_models_choose_apart_and_a_network_once(bench):
    study = bench("kuairand")
    losses = {"a": (0.6, 0.2, 0.10), "b": (0.5, 0.3, 0.19), "c": (0.7, 0.1, 0.10)}
    figures = ("CTR log loss, all", "CVR log loss, clicks", "CTCVR log loss, all")

    def cells(model):
        return {
            study.Cell("inner", "is_like", model, name, study.TUNING_SEED): dict(
                zip(figures, found, strict=True)
            )
            for name, found in losses.items()
        }

    apart, network = "logistic regression", "torch-rechub ESMM"
    assert study.chosen(cells(apart), "is_like", apart) == "b / c"
    assert study.chosen(cells(network), "is_like", network) == "b"


def test_numbers_become_the_ids_of_a_package_that_takes_none(bench):
    peers, rows = bench("kuairand_peers"), bench("kuairand_rows")
    train, test = np.arange(100.0)[:, None], np.array([[-5.0], [49.6], [500.0]])
    nothing = np.zeros(100, dtype=np.float32)
    sizes, (ids, ids_test) = peers.bucketed(
        rows.Encoded({}, ({}, {}), (train, test), nothing, nothing)
    )
    assert sizes == {"dense 0": 10}
    assert np.bincount(ids["dense 0"]).tolist() == [10] * 10
    assert ids_test["dense 0"].tolist() == [0, 5, 9]
