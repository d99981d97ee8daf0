"""Studies of real logs run on generated files, resume, measure and summarise correctly."""

import numpy as np
import pandas as pd
import pytest
from dataset_scripts import script
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.lib.results_store import Result, read
from benchmarks.papers import census
from benchmarks.papers.mmoe_networks import STRUCTURES
from benchmarks.real_logs import coat, kuairand, kuairand_peers, kuairand_rows, open_bandit
from benchmarks.real_logs import kuairand_summary as summary
from benchmarks.real_logs.kuairand_models import CHOSEN


def never(*_):
    raise AssertionError("a finished cell was fitted again")


@pytest.fixture
def raw(tmp_path):
    """Writes the files of a data set."""

    def write(name):
        script(name, "sample").write_sample(tmp_path / "raw")
        return tmp_path / "raw"

    return write


def ran(study, raw, folder, *more):
    """The result of one seed."""
    out, figure = folder / "found.jsonl.gz", folder / "found.png"
    given = [str(raw), "--seeds", "1", "--out", str(out), "--figure", str(figure), *more]
    assert study.main(given) == 0
    assert figure.stat().st_size > 10_000
    return read(out)


def test_kuairand_runs_and_resumes(raw, tmp_path, monkeypatch):
    for package in ("lightgbm", "torch_rechub", "deepctr_torch"):
        pytest.importorskip(package)
    some = ("logistic regression", "LightGBM, target encodings", "torch-rechub ESMM",
            "deepctr-torch MMoE, target encodings")  # fmt: skip
    peers = {
        name: kuairand.PEERS[name]._replace(
            settings=dict(list(kuairand.PEERS[name].settings.items())[-2:])
        )
        for name in some
    }
    monkeypatch.setattr(kuairand, "PEERS", peers)
    monkeypatch.setattr(kuairand, "CONVERSIONS", ("long_view",))
    monkeypatch.setattr(kuairand, "TRIED", {"epochs 1": {"epochs": 1}})
    monkeypatch.setattr(kuairand, "MODELS", {kuairand.CONTROL: kuairand.MODELS[kuairand.CONTROL]})
    monkeypatch.setattr(summary, "draw", lambda _, path: path.write_bytes(b"x" * 10_001))
    folder = raw("kuairand-pure")
    first = ran(kuairand, folder, tmp_path)
    tested = {cell["model"]: cell for cell in first.where(part="test")}
    assert set(tested) == {kuairand.CONTROL, *some}
    for name, cell in tested.items():
        # Users and videos move clicks, and every model has them.
        assert cell["CTR AUC, all"] > 0.6, name
        assert cell["CTCVR AUC, all"] > 0.6, name
    for name, peer in peers.items():
        tried = {cell["settings"] for cell in first.where(part="inner", model=name)}
        assert tried == set(peer.settings)
        assert set(tested[name]["settings"].split(" / ")) <= tried
    assert len(tested["logistic regression"]["settings"].split(" / ")) == 2
    monkeypatch.setattr(kuairand, "fit", never)
    assert ran(kuairand, folder, tmp_path).cells == first.cells


def test_every_stage_is_measured_on_its_space():
    rng = np.random.default_rng(0)
    click = rng.integers(2, size=500)
    test = pd.DataFrame({"click": click, "conversion": click * rng.integers(2, size=500)})
    scores = pd.DataFrame(rng.random((500, 3)), columns=["pctr", "pcvr", "pctcvr"])
    found = kuairand_rows.measure(scores, test)
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


def test_no_row_of_the_test_days_reaches_what_settings_are_chosen_on(raw):
    whole = kuairand_rows.read(raw("kuairand-pure"), "is_like")
    early = kuairand_rows.inner(whole)
    assert early.train["time_ms"].max() < early.test["time_ms"].min()
    assert early.test["time_ms"].max() - early.test["time_ms"].min() <= kuairand_rows.DAY
    assert early.test["time_ms"].max() < whole.test["time_ms"].min()
    both = pd.concat([early.train, early.test], ignore_index=True)
    pd.testing.assert_frame_equal(both, whole.train)


def test_separate_models_have_settings_each_and_a_network_one():
    losses = {"a": (0.6, 0.2, 0.10), "b": (0.5, 0.3, 0.19), "c": (0.7, 0.1, 0.10)}
    names = ("CTR log loss, all", "CVR log loss, clicks", "CTCVR log loss, all")

    def records(model):
        return {
            kuairand.Cell("inner", "is_like", model, name, kuairand.TUNING_SEED): dict(
                zip(names, found, strict=True)
            )
            for name, found in losses.items()
        }

    apart, network = "logistic regression", "torch-rechub ESMM"
    assert kuairand.chosen(records(apart), "is_like", apart) == "b / c"
    assert kuairand.chosen(records(network), "is_like", network) == "b"


def test_the_kept_cells_have_the_settings_that_the_inner_split_prefers():
    result = read("kuairand")
    inner = pd.DataFrame(result.where(part="inner", model=kuairand.CONTROL))
    loss = inner["CTR log loss, all"] + inner["CTCVR log loss, all"]
    found = loss.groupby(inner["settings"]).mean()
    assert set(found.index) == set(kuairand.TRIED)
    assert found.idxmin() == CHOSEN
    records = {kuairand.Cell(*(r[name] for name in kuairand.Cell._fields)): r for r in result.cells}
    tested = [cell for cell in records if cell.part == "test" and cell.model in kuairand.PEERS]
    assert {cell.model for cell in tested} == set(kuairand.PEERS)
    for cell in tested:
        assert cell.settings == kuairand.chosen(records, cell.conversion, cell.model), cell


def test_numbers_become_the_ids_of_a_package_that_takes_none():
    train, test = np.arange(100.0)[:, None], np.array([[-5.0], [49.6], [500.0]])
    nothing = np.zeros(100, dtype=np.float32)
    sizes, (ids, ids_test) = kuairand_peers.bucketed(
        kuairand_rows.Encoded({}, ({}, {}), (train, test), nothing, nothing)
    )
    assert sizes == {"dense 0": 10}
    assert np.bincount(ids["dense 0"]).tolist() == [10] * 10
    assert ids_test["dense 0"].tolist() == [0, 5, 9]


def cell(model, seed, area, pcoc, settings="defaults"):
    found = {"part": "test", "conversion": "long_view", "model": model, "settings": settings}
    found["seed"] = seed
    for name, space in (("CTR", "all"), ("CVR", "clicks"), ("CTCVR", "all")):
        found |= {f"{name} AUC, {space}": area, f"{name} PCOC, {space}": pcoc}
        found[f"{name} log loss, {space}"] = 0.5
    return found


def test_a_goal_concerns_mean_and_spread(monkeypatch):
    monkeypatch.setattr(summary, "GOALS", {"long_view": ((0.72, 0.72, 0.75), 0.05)})
    result = Result({}, [cell("esmm", 0, 0.72, 0.9), cell("esmm", 1, 0.74, 1.14)])
    reached = summary.Summary(result, "long_view").goals("esmm")["reached"]
    assert reached["CTR AUC, all above 0.7200"]
    assert not reached["CTCVR AUC, all above 0.7500"]
    assert reached["CTR PCOC, all within 5% of 1"]
    assert not reached["CTR PCOC, all, spread over seeds under 0.1"]
    verdicts = summary.verdicts(result, ["esmm"])["`esmm`"]
    assert verdicts["long_view: CTCVR AUC, all above 0.7500"] == "0.7300 **missed**"
    assert verdicts["long_view: CTR AUC, all above 0.7200"] == "0.7300"


def test_the_best_of_a_column_is_bold_and_a_single_fit_has_no_spread():
    cells = [
        cell("esmm", 0, 0.70, 1),
        cell("esmm", 1, 0.72, 1),
        cell("logistic regression", 0, 0.69, 1, "C 0.1 / C 0.3"),
    ]
    areas = summary.Summary(Result({}, cells), "long_view").areas()
    assert areas.loc["`esmm`"].tolist() == ["**0.7100 ± 0.0141**"] * 3
    assert areas.loc["logistic regression"].tolist() == ["0.6900"] * 3


def test_the_sampling_error_of_an_area_is_that_of_draws():
    """Two normals a standard deviation apart, 60 positives and 80 negatives."""
    rng = np.random.default_rng(0)
    positives, negatives = (
        rng.standard_normal((4000, 60, 1)) + 1,
        rng.standard_normal((4000, 1, 80)),
    )
    areas = (positives > negatives).mean((1, 2))
    # The formula assumes exponentials; for normals it is a few percent off.
    error = summary.sampling_error(float(np.mean(areas)), 60, 80)
    assert error == pytest.approx(np.std(areas), rel=0.06)


def test_open_bandit_estimates_are_those_of_a_known_policy():
    """IPS, SNIPS and DR within four standard errors of the truth, the naive mean far from it."""
    rng = np.random.default_rng(0)
    chance = np.array([0.02, 0.05, 0.1, 0.3])
    shown = np.array([0.1, 0.1, 0.2, 0.6])
    item = rng.choice(4, 40_000, p=shown)
    log = pd.DataFrame(
        {
            "item_id": item,
            "action_propensity": shown[item],
            "click": (rng.random(40_000) < chance[item]).astype(int),
        }
    )
    truth = chance.mean()
    found = open_bandit.estimates(open_bandit.rows_of(log, 4, seed=0))
    weight = 0.25 / shown
    error = np.sqrt(((shown * weight**2 * chance).sum() - truth**2) / len(log))
    for name in ("IPS", "SNIPS", "DR", "self-normalised DR", "direct"):
        assert abs(found[name] - truth) < 4 * error, name
    assert found["naive"] == pytest.approx((shown * chance).sum(), abs=0.01)
    assert found["naive"] - truth > 10 * error


def test_open_bandit_runs(raw, tmp_path):
    out, figure = tmp_path / "found.jsonl.gz", tmp_path / "found.png"
    arguments = [str(raw("open-bandit")), "--replicates", "20", "--out", str(out)]
    assert open_bandit.main([*arguments, "--figure", str(figure)]) == 0
    truth = read(out).frame("estimator").loc["truth"]
    assert truth["low"] <= truth["CTR"] <= truth["high"]
    assert figure.stat().st_size > 10_000


def test_coat_resumes_and_reads_random_ratings(raw, tmp_path, monkeypatch):
    folder = raw("coat")
    few = {name: coat.MODELS[name] for name in ("click_space", "ips, given propensities")}
    monkeypatch.setattr(coat, "MODELS", few)
    first = ran(coat, folder, tmp_path)
    assert [cell["model"] for cell in first.cells] == ["click_space", "constant", *list(few)[1:]]
    constant = first.cells[1]
    assert constant["AUC, random"] == 0.5
    assert constant["mean pCVR, all"] == pytest.approx(constant["mean CVR, clicks"], abs=0.1)
    # Chosen items were rated higher: the weights correct that.
    assert constant["mean CVR, weighted"] < constant["mean CVR, clicks"]
    monkeypatch.setattr(coat, "fit_and_measure", never)
    assert ran(coat, folder, tmp_path).cells == first.cells


def test_census_structures_have_equal_parameters_and_run(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(census, "RATES", (3e-3,))
    monkeypatch.setattr(census, "FEATURE_SETS", {"all": []})
    result = ran(census, raw("census-income"), tmp_path, "--epochs", "1")
    sizes = result.metadata["parameters of bottom and towers"]
    assert set(sizes) == set(STRUCTURES)
    for name, size in sizes.items():
        # One more unit in each of eight experts is 5.5%.
        assert size == pytest.approx(sizes["MMoE"], rel=0.03), name
    cells = census.kept_cells(tmp_path / "found.jsonl.gz").set_index("structure")
    assert len(cells) == len(STRUCTURES) + 1
    # A trait moves both labels and every column, so that boosting learns them.
    assert cells.loc["gradient boosting", "AUC, income"] > 0.6


def test_census_differences_are_of_the_same_seeds():
    areas = {"MMoE": [0.93, 0.92], "shared bottom": [0.92, 0.90]}
    cells = pd.DataFrame(
        [
            {"features": "all", "structure": name, "seed": seed}
            | {f"AUC, {task}": areas.get(name, [0.9, 0.9])[seed] for task in census.TASKS}
            for name in (*STRUCTURES, census.BOOSTING)
            for seed in (1, 0)
        ]
    )
    table = census.table(cells, "all")
    assert table.loc["MMoE", "income, minus shared bottom"] == "+0.0150 ± 0.0050"
    assert table.loc["MMoE", "AUC, income"] == "0.9250 ± 0.0071"
    assert table.loc["shared bottom", "income, minus shared bottom"] == ""
