"""Bias 0 of the truth, .3 of the truth scaled by 1.3; nothing that a log does not identify."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtl_seq import BiasReport
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.report import CEILING, TRUTH
from mtl_seq.simulate import LogisticFunnel

SIMULATOR = LogisticFunnel(users=60, items=40, cvr=0.08, seed=0)
LOG, KNOWN = SIMULATOR.sample(2000, np.random.default_rng(5))
LOG.index = 3 * LOG.index + 1
SPACES = ("all", "clicks", "non-clicks")


def scores(truth=KNOWN, scale=1.0, noise=0.0):
    shift = np.exp(noise * np.random.default_rng(0).standard_normal(len(truth.pctr)))
    pcvr = np.clip(scale * shift * truth.pcvr, 0, 1)
    frame = {"pctr": truth.pctr, "pcvr": pcvr, "pctcvr": truth.pctr * pcvr}
    return pd.DataFrame(frame, index=LOG.index)


MODELS = {"exact": scores(), "high": scores(scale=1.3), "low": scores(scale=0.6)}
MODELS["<b>noisy</b>"] = scores(noise=0.5)  # names are text and no markup


def against_truth(**settings):
    return BiasReport.against_truth(MODELS, LOG, KNOWN, **{"replicates": 20, **settings})


def from_log(log=LOG, **settings):
    settings = {"schema": SIMULATOR.schema, "replicates": 20, **settings}
    return BiasReport.from_log({"exact": MODELS["exact"], "high": MODELS["high"]}, log, **settings)


@pytest.fixture(scope="module")
def report():
    return against_truth()


@pytest.mark.parametrize("space", SPACES)
def test_the_truth_has_no_bias_anywhere(report, space):
    for name in ("exact", TRUTH):
        for metric in ("relative_bias", "mean_bias", "rmse"):
            assert report.estimate(name, "pcvr", space, metric) == pytest.approx([0, 0, 0])


def test_the_truth_has_the_least_log_loss(report):
    for space in SPACES:
        loss = {name: report.estimate(name, "pcvr", space, "log_loss").value for name in MODELS}
        assert min(loss, key=loss.get) == "exact"
        assert sorted(loss.values())[1] > loss["exact"] + 1e-4


@pytest.mark.parametrize("space", SPACES)
def test_scores_scaled_by_1_3_have_a_relative_bias_of_30_percent(report, space):
    assert MODELS["high"]["pcvr"].max() < 1  # so that nothing was cut off
    # In every resample of the users too, so the interval has no width.
    assert report.estimate("high", "pcvr", space, "relative_bias") == pytest.approx([0.3] * 3)
    assert report.estimate("high", "pcvr", space, "pcoc").value == pytest.approx(1.3)
    np.testing.assert_allclose(report.deciles.relative_bias["high"], 0.3)


def test_with_hidden_information_each_space_has_a_target_of_its_own():
    simulator = LogisticFunnel(users=60, items=40, mnar=1.5, confounder=1.0, seed=0)
    log, truth = simulator.sample(2000, np.random.default_rng(5))
    log.index = LOG.index
    found = BiasReport.against_truth({"true": scores(truth)}, log, truth, replicates=5)
    click = log["click"].to_numpy() == 1
    target = {"clicks": truth.pcvr_clicked[click], "non-clicks": truth.pcvr_unclicked[~click]}
    assert found.estimate("true", "pcvr", "all", "relative_bias").value == pytest.approx(0)
    assert found.estimate(CEILING, "pcvr", "clicks", "relative_bias").value == pytest.approx(0)
    assert found.estimate(CEILING, "pcvr", "all", "relative_bias").value > 0.1
    for space, mask in (("clicks", click), ("non-clicks", ~click)):
        bias = truth.pcvr[mask].mean() / target[space].mean() - 1
        assert abs(bias) > 0.05
        assert found.estimate("true", "pcvr", space, "relative_bias").value == pytest.approx(bias)


def test_the_table_has_a_row_a_model_then_the_references():
    table = against_truth(naive="low", oracle="exact").table
    assert list(table.index) == [*MODELS, CEILING, TRUTH]
    assert table.columns.names == ["metric", "space"]
    assert " | ".join(", ".join(column) for column in table) == (
        "relative bias, all | relative bias, clicks | relative bias, non-clicks | AUC, all | "
        "AUC, clicks | log loss, all | RMSE, all | ECE, all | PCOC, clicks | gap closed, all"
    )
    assert "gap closed" not in against_truth().table
    assert table.loc["high", ("relative bias", "non-clicks")] == pytest.approx(0.3)
    assert table["PCOC"].loc["high", "clicks"] == pytest.approx(1.3)
    assert table.loc[["low", "exact"], ("gap closed", "all")].tolist() == [0, 1]
    assert table.loc[[CEILING, TRUTH], ("gap closed", "all")].isna().all()


def test_the_repr_is_short_and_the_notebook_gets_the_table(report):
    text = repr(report)
    assert len(text) < 400
    assert text.splitlines()[0] == "BiasReport: Bias of predicted CVR against the known truth"
    assert "models: exact, high, low, <b>noisy</b>" in text
    assert "rows: 2,000 impressions; spaces: all, clicks, non-clicks" in text
    html = report._repr_html_()
    assert html.startswith("<p><b>Bias of predicted CVR against the known truth</b></p>")
    assert "&lt;b&gt;noisy&lt;/b&gt;" in html
    assert "<b>noisy" not in html
    assert "0.3000" in html
    renamed = replace(report, title="a < b")
    assert "a &lt; b" in renamed._repr_html_()


def test_a_figure_that_is_not_there_is_an_error(report):
    for at in ("nobody pcvr all auc", "exact pctr clicks auc", "exact pcvr all gini"):
        with pytest.raises(DataError, match="no metric"):
            report.estimate(*at.split())


def test_a_log_shows_no_bias_off_the_clicks():
    found = from_log()
    assert "not identified" in found.title
    assert set(zip(found.metrics["quantity"], found.metrics["space"], strict=True)) == {
        ("pctr", "all"),
        ("pctcvr", "all"),
        ("pcvr", "clicks"),
    }
    assert found.deciles is None
    assert not any(
        "non-clicks" in label or "bias" in label for label in found.table.columns.map(", ".join)
    )
    assert not found.metrics["metric"].isin(["rmse", "mean_bias"]).any()
    clicked = LOG["click"] == 1
    pcoc = MODELS["high"]["pcvr"][clicked].sum() / LOG["conversion"].sum()
    assert found.table.loc["high", ("CVR PCOC", "clicks")] == pytest.approx(pcoc)
    weight = 1 / KNOWN.pctr[clicked]
    weights = found.overlap.weights.set_index("propensity")
    size = weight.sum() ** 2 / (weight**2).sum()
    assert weights.loc["high", "effective_size"] == pytest.approx(size)
    assert found.rank_disagreements == ()
    assert found.oracle is None


def test_json_is_strict_and_gives_a_reason_for_every_null(tmp_path):
    found = from_log(LOG.assign(conversion=0))
    found.to_json(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    nulls = {
        (r["quantity"], r["metric"]): r["reason"] for r in read["metrics"] if r["value"] is None
    }
    assert nulls["pcvr", "auc"] == "no positive in space 'clicks'"
    assert nulls["pctcvr", "pcoc"] == "no positive in space 'all'"
    assert all(nulls.values())
    for record in (r for r in read["metrics"] if r["value"] is not None):
        at = (record[key] for key in ("model", "quantity", "space", "metric"))
        assert record["value"] == pytest.approx(found.estimate(*at).value, abs=1e-12)
        assert record["reason"] is None


class Page(HTMLParser):
    """What a page loads, and its first words."""

    def __init__(self, source):
        super().__init__()
        self.links, self.tags, self.words = [], set(), []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        names = ("src", "href", "xlink:href", "srcset", "data", "action", "poster")
        self.links += [value for name, value in attrs if name in names]

    def handle_data(self, data):
        self.words += [data.strip()] if data.strip() else []


def test_html_loads_nothing_and_opens_with_the_headline(report, tmp_path):
    report.to_html(tmp_path / "report.html")
    source = (tmp_path / "report.html").read_text()
    page = Page(source)
    assert {link[0] for link in page.links} == {"#"}
    assert all(at.startswith("#") for at in re.findall(r"url\(['\"]?([^)]*)", source))
    assert "@import" not in source
    assert not page.tags & {"script", "link", "img", "iframe", "object", "b"}
    title, first, where, lead_line, others, *_ = Page(source.split("<body>")[1]).words
    assert title == "Bias of predicted CVR against the known truth"
    assert first == (
        "Over all impressions exact has the least log loss against the true CVR; its relative bias "
        "is +0.0% [+0.0%, +0.0%]."
    )
    assert where == (
        "On clicks it is +0.0%, on non-clicks +0.0%; below 0.5% in every decile of the propensity."
    )
    lead = report.lead
    assert (lead.first, lead.second) == ("exact", "high")
    assert f"next model (high) minus exact: {lead.lead.value:.5f} [" in lead_line
    assert lead_line.endswith("the 90% CI excludes 0.")
    assert "high +30.0% [+30.0%, +30.0%], low -40.0% [-40.0%, -40.0%]" in others


@pytest.mark.parametrize("make", [against_truth, from_log])
def test_the_plot_is_returned_and_written_as_png(make, tmp_path):
    assert make().plot().get_axes()[0].get_lines()
    assert isinstance(make().plot(tmp_path / "figure.png"), Figure)
    content = (tmp_path / "figure.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20]) > 600  # its width


@pytest.mark.parametrize("make", [against_truth, from_log])
def test_one_seed_gives_one_report(make, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make(seed=seed).to_html(tmp_path / f"{name}.html")
        make(seed=seed).to_json(tmp_path / f"{name}.json")
    a, b, c = ({file.suffix: file.read_bytes() for file in tmp_path.glob(f"{n}.*")} for n in "abc")
    assert len(a) == 2
    assert a == b
    assert a[".json"] != c[".json"]


def test_rows_that_cannot_be_measured_are_errors():
    with pytest.raises(DataError, match="one entry per row of the log, 2,000, found 1,999"):
        BiasReport.against_truth(MODELS, LOG, KNOWN.take(np.arange(1999)))
    with pytest.raises(DataError, match="predictions of 'exact' must have the log's index"):
        BiasReport.against_truth(MODELS, LOG.iloc[::-1], KNOWN)
    with pytest.raises(DataError, match="conversion without click in"):
        BiasReport.from_log(MODELS, LOG.assign(conversion=1), schema=SIMULATOR.schema)


@pytest.mark.parametrize("name", [TRUTH, CEILING])
def test_a_model_may_not_take_the_name_of_a_reference(name):
    with pytest.raises(DataError, match="no model may have the name"):
        BiasReport.against_truth({name: MODELS["exact"]}, LOG, KNOWN)


def test_a_log_without_clicks_can_be_reported_and_written(tmp_path):
    quiet = LOG.assign(click=0, conversion=0)
    report = BiasReport.from_log(MODELS, quiet, schema=SIMULATOR.schema, replicates=5)
    report.to_json(tmp_path / "r.json")
    report.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    words = " ".join(Page(page).words).replace("\n", " ")
    assert "CVR AUC, clicks: no rows in space 'clicks' (exact, high, low, <b>noisy</b>)" in words
    assert "no clicks" in words
    assert not re.search(r"\bnan\b", words.lower())


def test_an_absent_label_column_is_named_beside_what_the_log_holds():
    with pytest.raises(SchemaError, match=r"\['click'\], found \['user_id'"):
        BiasReport.from_log(MODELS, LOG.drop(columns="click"), schema=SIMULATOR.schema)
