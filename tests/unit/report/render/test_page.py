"""The page opens with the headline and separates what is identified from what is not."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from unit.report.reports import ALL, BY, LOG, MODELS, known, observed, silent

from mtl_seq.report.compute.comparisons import RankDisagreement
from mtl_seq.report.compute.metrics import Estimate
from mtl_seq.report.render.figures import report_figures
from mtl_seq.report.render.headline import headline, rank_disagreement_lines
from mtl_seq.report.render.page import sections
from mtl_seq.report.render.tables import ReportTable

FIGURES = {
    "truth": ["relative_bias", "bias_by_decile", "reliability", "auc_by_space", "gap_closed"],
    "log": ["pcoc", "reliability", "auc_by_space"],
    "silent": ["pcoc", "reliability", "auc_by_space"],
}


class Page(HTMLParser):
    """Elements of a page by id, its text, and what it would load."""

    def __init__(self, source):
        super().__init__()
        self.ids, self.words, self.labels, self.tags = [], [], [], []
        self._style = False
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append(tag)
        self._style = tag == "style"
        if "id" in named:
            self.ids.append(named["id"])
        if named.get("role") == "img":
            self.labels.append(named["aria-label"])

    def handle_data(self, data):
        if data.strip() and not self._style:
            self.words.append(" ".join(data.split()))


@pytest.fixture(scope="module", params=list(ALL))
def drawn(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report = ALL[request.param]()
    report.to_html(path)
    return request.param, report, Page(path.read_text())


def test_every_figure_is_there_once_for_a_page_and_once_for_a_phone(drawn):
    kind, report, page = drawn
    expected = [*FIGURES[kind], *(f"segments_{by}" for by in BY), "overlap", "sensitivity"]
    assert list(report_figures(report)) == expected
    assert [name for name in page.ids if name.startswith("figure-")] == [
        f"figure-{name}" for name in expected
    ]
    assert page.tags.count("svg") == 2 * len(expected)
    assert page.tags.count("figure") == len(expected)


def test_every_figure_has_a_text_that_names_every_model(drawn):
    _, report, page = drawn
    found = report_figures(report)
    assert page.labels == [figure.alternative for figure in found.values()]
    for name in (
        "auc_by_space",
        "sensitivity",
        "pcoc" if not report.has_truth else "relative_bias",
    ):
        for model in report.models:
            assert model in found[name].alternative


def test_ids_are_unique_and_markup_in_names_is_text(drawn):
    page = drawn[2]
    assert len(page.ids) == len(set(page.ids))
    assert not {"b", "script", "img", "link", "iframe"} & set(page.tags)
    assert any(word == "<b>mine</b>" for word in page.words)


def test_the_page_opens_with_the_title_and_the_headline(drawn):
    _, report, page = drawn
    lines = headline(report)
    at = page.words.index(report.title, 1)
    assert page.words[at + 1 : at + 1 + len(lines)] == lines


def test_anchors_of_the_list_of_sections_are_there(drawn):
    _, report, page = drawn
    for section in sections(report):
        assert section.key in page.ids


def test_versions_seed_rule_and_data_are_stated(drawn):
    page = drawn[2]
    for fact in ("versions", "seed of the resamples", "checkpoint rule", "clicks", "intervals"):
        assert fact in page.words
    assert re.search(r"Python 3\.\d+.*, mtl_seq \d.*, torch \d", " ".join(page.words))


def test_what_a_log_does_not_identify_stands_apart():
    kinds = {section.key: section.kind for section in sections(observed())}
    assert kinds["sensitivity"] == "open"
    assert {kinds[key] for key in ("observed", "control", "segments", "random")} == {"shown"}
    shown = [s for s in sections(observed()) if s.kind == "shown"]
    heads = [
        head for s in shown for b in s.blocks if isinstance(b, ReportTable) for head in b.columns
    ]
    assert not any("non-clicks" in head or "CVR relative bias, all" in head for head in heads)
    assert all(section.kind == "" for section in sections(known()))


def disagreeing(count):
    leads = (Estimate(0.02, 0.01, 0.03), Estimate(0.004, 0.001, 0.007))
    one = RankDisagreement("a", "b", *leads)
    return tuple([one] * count)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_rank_disagreements_are_noted_exactly_where_there_are_some(count):
    report = replace(known(), rank_disagreements=disagreeing(count))
    ranking = next(s for s in sections(report) if s.key == "ranking")
    assert len(ranking.notes) == count == len(rank_disagreement_lines(report))
    assert ("No rank disagreement" in str(ranking.blocks[-1])) == (count == 0)
    said = [line for line in headline(report) if "AUC on clicks orders" in line]
    assert len(said) == (count > 0)
    for line in ranking.notes:
        assert line == (
            "On clicks a ranks above b (AUC higher by 0.02000 [0.01000, 0.03000]), over all "
            "impressions below it (AUC lower by 0.00400 [0.00100, 0.00700])."
        )


def test_tables_hold_the_figures_of_the_report():
    report = known()
    table = next(s for s in sections(report) if s.key == "short").blocks[0]
    at = table.columns.index("relative bias, all") - 1
    for name, cells, reference in table.rows:
        found = report.estimate(name, "pcvr", "all", "relative_bias")
        value, low, high = (f"{end:+.1%}".replace("-0.0%", "+0.0%") for end in found)
        assert cells[at].text == value
        assert cells[at].detail == f"[{low}, {high}]"
        assert reference == (name == "oracle")


def test_differences_in_bold_are_those_whose_interval_excludes_0():
    report = known()
    table = next(s for s in sections(report) if s.key == "control").blocks[0]
    at = table.columns.index("log loss, all") - 1
    strong = {name: cells[at].strong for name, cells, _ in table.rows}
    assert set(strong) == set(report.models) - {"multitask"}
    for name, bold in strong.items():
        found = report.difference(name, "pcvr", "all", "log_loss")
        assert bold == (found.low > 0 or found.high < 0)


def test_undefined_figures_are_n_a_with_their_reason_on_the_page(drawn):
    kind, report, page = drawn
    text = " ".join(page.words)
    assert not re.search(r"\bnan\b", text, flags=re.IGNORECASE)
    undefined = report.metrics["reason"].notna().any()
    assert undefined == (kind == "silent") == ("Not defined: " in text)
    if undefined:
        assert "n/a" in page.words
        assert "CVR AUC, clicks: no rows in space 'clicks'" in text
        assert "CTR PCOC, all: no positive in space 'all'" in text


def test_rows_shown_at_random_stand_beside_the_rest():
    report = observed()
    table = next(s for s in sections(report) if s.key == "random").blocks[-1]
    rows = {name: cells for name, cells, _ in table.rows}
    model = report.models.index("multitask")
    for part, mask in (
        ("random", LOG["shown_at_random"] == 1),
        ("rest", LOG["shown_at_random"] == 0),
    ):
        clicked = mask & (LOG["click"] == 1)
        expected = (
            MODELS["multitask"].loc[clicked, "pcvr"].sum() / LOG.loc[clicked, "conversion"].sum()
        )
        assert rows[f"CVR PCOC, clicks: {part}"][model].text == f"{expected:.3f}"
    assert report.metadata["shown at random (shown_at_random)"] == LOG["shown_at_random"].sum()


def test_the_headline_of_a_log_states_the_ranges_and_no_bias():
    lines = headline(observed())
    low, high = observed().sensitivity.ranges[2.0]
    assert f"between {low:.1%} and {high:.1%}" in lines[-1]
    assert not any("relative bias" in line or "true CVR" in line for line in lines)


def test_a_log_without_clicks_says_so_everywhere():
    report = silent()
    assert report.metadata["CVR on clicks"] == "no clicks"
    assert report.overlap.weights["reason"].eq("no clicks").all()
    assert np.isnan(report.estimate("multitask", "pcvr", "clicks", "pcoc").value)


def test_every_figure_is_written_as_png(tmp_path):
    report = known()
    written = report.figures(tmp_path)
    assert written == [tmp_path / f"{name}.png" for name in report_figures(report)]
    for path in written:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(content[16:20]) > 1000  # its width
