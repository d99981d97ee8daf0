"""Exported models predict what the estimator predicts, within 1e-5, or are refused."""

import json
import pickle
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

from mtl_seq import Codec, FunnelEstimator, Schema, models, nn
from mtl_seq.calibration import Calibration
from mtl_seq.cli import main
from mtl_seq.data import Encoding
from mtl_seq.errors import ArtifactError, DataError, NotFittedError, SchemaError
from mtl_seq.export import Exported, Manifest, export_model, load_model
from mtl_seq.models import CLICK_ACTION_PURCHASE, CalibrationConfig

ROWS = 2_000
SMALL = partial(nn.MMoE, experts=2, hidden=(8,))


def log_of(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(0, 12, ROWS) * 10**17,
            "city": rng.choice(["oslo", "rome", "東京"], ROWS),
            "price": rng.normal(3, 2, ROWS),
            "position": rng.integers(1, 5, ROWS),
            "tags": [rng.choice(["a", "b", "c"], k).tolist() for k in rng.integers(0, 3, ROWS)],
        }
    )
    frame["shares"] = [rng.uniform(0, 2, len(tags)).tolist() for tags in frame["tags"]]
    rate = 1 / (1 + np.exp(3 - frame["price"]))
    frame["click"] = (rng.random(ROWS) < 2 * rate / (1 + rate)).astype(int)
    frame["cart"] = frame["click"] * (rng.random(ROWS) < 0.4)
    frame["order"] = (frame["click"] * (rng.random(ROWS) < rate)).astype(int)
    return frame


LOG, OTHER = log_of(0), log_of(1)
SCHEMA = Schema(
    ids=["user_id", "city", "position"],
    bags=["tags"],
    bag_weights={"tags": "shares"},
    dense=["price"],
    hidden_from={"conversion": ["position"]},
    labels={"click": "click", "conversion": "order"},
    group="user_id",
)
LONGER = Schema(
    ids=["user_id", "city"],
    bags=["tags"],
    dense=["price"],
    labels={"click": "click", "action": "cart", "purchase": "order"},
    funnel=CLICK_ACTION_PURCHASE,
)


def fitted(build, schema=SCHEMA, **settings):
    settings = {"encoding": Encoding(wide=True, buckets=4, numeric=3), **settings}
    return FunnelEstimator(
        partial(build, bottom=SMALL), schema, epochs=1, batch_size=64, validation=0.2, **settings
    ).fit(LOG)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Ids, target encodings, buckets, a weighted bag, linear terms, hidden features, Platt."""
    estimator = fitted(models.escm2_dr, calibrate=CalibrationConfig("platt"))
    folder = tmp_path_factory.mktemp("export") / "exported"
    export_model(estimator, folder)
    return estimator, folder


def apart(estimator, folder, frame):
    ours, theirs = estimator.predict(frame), Exported.load(folder).predict(frame)
    assert list(ours.columns) == list(theirs.columns)
    assert ours.index.equals(theirs.index)
    return np.abs(ours.to_numpy() - theirs.to_numpy()).max()


def test_onnx_predicts_what_torch_predicts(everything):
    estimator, folder = everything
    assert isinstance(estimator.calibration_, Calibration)
    unseen = OTHER.assign(user_id=OTHER["user_id"] + 1).set_index("price", drop=False)
    assert apart(estimator, folder, unseen) < 1e-5
    assert apart(estimator, folder, OTHER.iloc[:1]) < 1e-5
    longer = OTHER.iloc[:7].assign(
        tags=[["a", "b", "c", "a", "unseen", "b"]] * 7, shares=[[1.0] * 6] * 7
    )
    assert apart(estimator, folder, longer) < 1e-5
    empty = OTHER.iloc[:3].assign(tags=[[], None, []], shares=[[], None, []])
    assert apart(estimator, folder, empty) < 1e-5


def test_any_onnx_runtime_serves_it_from_what_the_manifest_says(everything):
    """The program needs nothing of this package but the encoded features."""
    estimator, folder = everything
    manifest = Manifest.from_json(folder / "manifest.json")
    session = onnxruntime.InferenceSession(folder / manifest.file)
    kinds = {"tensor(int64)": "int64", "tensor(float)": "float32"}
    taken = [(x.name, kinds[x.type], tuple(x.shape)) for x in session.get_inputs()]
    assert taken == [(one.name, one.dtype, one.dims) for one in manifest.inputs]
    assert {dim for one in manifest.inputs for dim in one.dims} == {"rows", "items_0"}
    given = [(x.name, x.type, tuple(x.shape)) for x in session.get_outputs()]
    assert given == [(name, "tensor(float)", ("rows",)) for name in ("pctr", "pcvr", "pctcvr")]
    features = Codec.from_json(folder / "codec.json").encode(OTHER, labels=False).features
    found = session.run(None, {name: x.numpy() for name, x in features.items()})
    assert np.abs(np.stack(found, 1) - estimator.predict(OTHER).to_numpy()).max() < 1e-5


def test_the_manifest_describes_the_folder(everything):
    estimator, folder = everything
    manifest = Manifest.from_json(folder / "manifest.json")
    assert Calibration.from_dict(manifest.calibration) == estimator.calibration_
    assert manifest.model["name"] == "mtl_seq.models.escm2_dr"
    assert [stage["name"] for stage in manifest.funnel] == ["click", "conversion"]
    stored = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (stored["kind"], stored["format"]) == ("mtl_seq.exported", 1)
    graph = onnx.load(folder / "model.onnx").graph
    # No path of this machine is in the program.
    assert not any(node.metadata_props for node in graph.node)
    assert str(Path(nn.__file__).parents[2]).encode() not in (folder / "model.onnx").read_bytes()


@pytest.mark.parametrize(
    ("build", "schema", "settings"),
    [
        (models.esm2, LONGER, {"encoding": Encoding(target_encoding=None)}),
        (models.pairwise_ranker, SCHEMA, {}),
        (models.targeted, SCHEMA, {}),
        pytest.param(
            *(models.esmm_ns, SCHEMA, {"calibrate": CalibrationConfig("shift")}),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["mediator", "ranker", "a calibration of its own", "tables per tower"],
)
def test_other_kinds_of_models_too(build, schema, settings, tmp_path):
    estimator = fitted(build, schema, **settings)
    export_model(estimator, tmp_path / "exported")
    assert apart(estimator, tmp_path / "exported", OTHER) < 1e-5


def test_an_isotonic_map_is_exact_but_for_its_jumps(tmp_path):
    estimator = fitted(models.esmm, calibrate=CalibrationConfig("isotonic"))
    export_model(estimator, tmp_path / "exported")
    network = FunnelEstimator(estimator.model, SCHEMA)
    network.codec_, network.model_ = estimator.codec_, estimator.model_
    network.run_, network.calibration_, network.dependence_ = estimator.run_, None, None
    raw = network.predict(OTHER)["pcvr"].to_numpy()
    found = Exported.load(tmp_path / "exported").predict(OTHER)
    logit = np.log(raw) - np.log1p(-raw)
    low, high = (
        estimator.calibration_.pcvr(1 / (1 + np.exp(-(logit + by)))) for by in (-1e-5, 1e-5)
    )
    assert (low - 1e-6 <= found["pcvr"]).all()
    assert (found["pcvr"] <= high + 1e-6).all()
    product = found["pctr"] * found["pcvr"]
    np.testing.assert_allclose(found["pctcvr"], product, rtol=1e-6)


def test_a_torch_program_predicts_the_same_and_is_not_loaded(tmp_path):
    estimator = fitted(models.esmm)
    manifest = export_model(estimator, tmp_path / "exported", program="torch")
    program = torch.export.load(tmp_path / "exported" / manifest.file).module()
    features = estimator.codec_.encode(OTHER, labels=False).features
    with torch.no_grad():
        found = program(features)
    assert [one.name for one in manifest.inputs] == list(features)
    columns = np.stack([found[name].numpy() for name in manifest.outputs], axis=1)
    assert np.abs(columns - estimator.predict(OTHER).to_numpy()).max() < 1e-5
    with pytest.raises(ArtifactError, match=r"`torch\.export\.load` may run code from its file"):
        load_model(tmp_path / "exported")


class _Corrected(FunnelEstimator):
    """A model that changes what its network predicts."""

    def predict(self, frame):
        scores = super().predict(frame)
        return scores.assign(pcvr=0.5 * scores["pcvr"])


@pytest.mark.parametrize("program", ["torch", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_model_that_does_more_than_its_network_is_refused(program, tmp_path):
    estimator = _Corrected(partial(models.esmm, bottom=SMALL), SCHEMA, epochs=1).fit(LOG)
    with pytest.raises(ArtifactError, match="computes after its network cannot be exported"):
        export_model(estimator, tmp_path / "exported", program=program)
    assert not list(tmp_path.iterdir())


def test_streamed_predictions_are_those_in_memory(everything, tmp_path):
    estimator, folder = everything
    OTHER.to_parquet(tmp_path / "log.parquet", row_group_size=300)
    means = {}
    for name, model in (("torch", estimator), ("onnx", load_model(folder))):
        out = tmp_path / f"{name}.parquet"
        means[name] = model.predict(tmp_path / "log.parquet", out, rows=700)
        found = pd.read_parquet(out)
        pd.testing.assert_frame_equal(found, estimator.predict(OTHER), rtol=0, atol=1e-5)
        assert means[name] == pytest.approx({**found.mean().to_dict(), "rows": ROWS})
        assert model.predict(OTHER, out) == pytest.approx(means[name])
        pd.testing.assert_frame_equal(pd.read_parquet(out), found, rtol=0, atol=1e-6)


def test_the_command_exports_and_predicts(everything, tmp_path, capsys):
    estimator, _ = everything
    model, out, log = tmp_path / "model", tmp_path / "exported", tmp_path / "log-1.parquet"
    estimator.save(model)
    OTHER.drop(columns=["click", "order"]).to_parquet(log)
    assert main(["export", str(model), "--format", "torch", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["program"] == "model.pt2"
    assert main(["export", str(model), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == ["pctr", "pcvr", "pctcvr"]
    assert sorted(p.name for p in out.iterdir()) == ["codec.json", "manifest.json", "model.onnx"]
    scores = tmp_path / "scores.parquet"
    pattern = str(tmp_path / "log-*.parquet")
    arguments = ["predict", str(out), pattern, "--out", str(scores), "--rows", "600", "--json"]
    assert main(arguments) == 0
    expected = estimator.predict(OTHER)
    pd.testing.assert_frame_equal(pd.read_parquet(scores), expected, rtol=0, atol=1e-5)
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == ROWS
    assert said["mean"] == pytest.approx(expected.mean().to_dict(), abs=1e-5)
    for found in (pd.read_parquet(scores), expected):
        assert found.attrs["checkpoint_rule"] == estimator.run_.checkpoint_rule
    OTHER.to_csv(tmp_path / "x.csv")
    for folder in (model, out):
        arguments = ["predict", str(folder), str(tmp_path / "x.csv"), "--out", str(scores)]
        assert main(arguments) == 2
        assert "x.csv must be parquet, found a CSV file" in capsys.readouterr().err
    assert main(["export", str(model), "--out", str(model)]) == 2
    assert "which would be lost" in capsys.readouterr().err
    assert main(["export", str(model), "--format", "pickle", "--out", str(out)]) == 2


def test_an_exported_model_checks_its_rows_as_the_estimator_does(everything):
    model = Exported.load(everything[1])
    with pytest.raises(SchemaError, match=r"declared columns \['city'\]"):
        model.predict(OTHER.drop(columns="city"))
    with pytest.raises(DataError, match="'price' is NaN in 1 row"):
        model.predict(OTHER.assign(price=OTHER["price"].where(OTHER.index != 3)))
    gaps = OTHER.iloc[:3].assign(price=[1.0, None, 2]).astype({"price": object})
    with pytest.raises(
        DataError, match=r"'price' is NaN in 1 row .*: fill them, or fit with Encod"
    ):
        model.predict(gaps)
    with pytest.raises(DataError, match="at least one row"):
        model.predict(OTHER.iloc[:0])


def test_none_is_imputed_where_the_model_imputes(tmp_path):
    estimator = fitted(models.esmm, encoding=Encoding(impute="mean"))
    export_model(estimator, tmp_path / "exported")
    rows = OTHER.iloc[:3].astype({"price": object})
    rows["price"] = pd.Series([None] * 3, dtype=object)
    mean = OTHER.iloc[:3].assign(price=estimator.codec_.scales["price"].mean)
    for model in (estimator, Exported.load(tmp_path / "exported")):
        pd.testing.assert_frame_equal(model.predict(rows), model.predict(mean))


def newer(folder):
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**content, "format": 2}), encoding="utf-8")


def incomplete(folder):
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del content["outputs"]
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def elsewhere(folder):
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**content, "file": "../m.onnx"}))


def renamed(folder):
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    content["inputs"][0]["name"] = "other"
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def torn(folder):
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])


def pickled(folder):
    (folder / "model.onnx").write_bytes(pickle.dumps({"a": 1}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (newer, "manifest.json has format 2, this version reads 1 to 1: update mtl_seq"),
        (incomplete, "manifest.json is incomplete: it lacks 'outputs'"),
        (elsewhere, "must name one of the programs"),
        (renamed, "must have the inputs and outputs"),
        (torn, "model.onnx cannot be read as an ONNX program"),
        (pickled, "model.onnx cannot be read as an ONNX program"),
        (lambda folder: (folder / "model.onnx").unlink(), "lacks model.onnx"),
        (lambda folder: (folder / "codec.json").unlink(), "no file .*codec.json"),
    ],
    ids=["newer", "incomplete", "elsewhere", "renamed", "torn", "pickle", "no model", "no codec"],
)
def test_a_folder_that_is_not_whole_says_so(harm, said, everything, tmp_path):
    folder = tmp_path / "exported"
    shutil.copytree(everything[1], folder)
    harm(folder)
    with pytest.raises(ArtifactError, match=said):
        load_model(folder)


def test_nothing_fitted_and_a_folder_of_somebody_elses_are_refused(everything, tmp_path):
    estimator, folder = everything
    with pytest.raises(NotFittedError):
        export_model(FunnelEstimator(models.esmm, SCHEMA), tmp_path / "exported")
    with pytest.raises(NotFittedError):
        FunnelEstimator(models.esmm, SCHEMA).predict(tmp_path / "log.parquet", tmp_path / "out")
    with pytest.raises(ArtifactError, match="`program` must be one of"):
        export_model(estimator, tmp_path / "exported", program="pickle")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ArtifactError, match=r"holds thesis\.tex, which would be lost"):
        export_model(estimator, tmp_path)
    assert (folder / "manifest.json").exists()
