"""The pages of the studies of simulated scenarios are those of the kept results."""

import importlib
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDIES = ("esmm_paper", "who_is_right", "esm2_cart")


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module


def page_of(study):
    return (ROOT / "docs" / f"{study}.md").read_text(encoding="utf-8")


def content_of(study):
    path = ROOT / "benchmarks" / "results" / f"{study}.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_table_is_that_of_the_kept_result(study, bench):
    content, page = content_of(study), page_of(study)
    module = bench(f"{study}_page")
    assert bench("pages").filled(page, module.blocks(content["cells"], content)) == page
    assert not [cell for cell in content["cells"] if "error" in cell]
    assert f"]({study}.png)" in page
    assert content["command"].startswith(f"python benchmarks/{study}.py --seeds ")
    assert "all impressions" in content["spaces"]
    assert "clicked validation rows" in content["checkpoint_rule"]


def everywhere_seeds(content, at):
    """Seeds of every cell's place."""
    counts = Counter(tuple(cell[name] for name in at) for cell in content["cells"])
    return set(counts.values())


def test_the_esmm_paper_says_what_was_found(bench):
    """The words of the list stand on what the kept result has, not only their figures."""
    page, content = bench("esmm_paper_page"), content_of("esmm_paper")
    table = page.Table(content["cells"])
    assert table.simulators == list(page.WORLDS)
    assert len(everywhere_seeds(content, ("scenario", "method"))) <= 2  # by scenario
    for simulator in table.simulators:
        gap = partial(table.gap, simulator)
        assert table.seeds(simulator) >= 4
        assert gap(page.CLICKS, "ESMM").mean > 0
        assert gap(page.ALL, "ESMM").mean > 0
        assert gap(page.ALL, "ESMM").apart()
        for figure in (page.CLICKS, page.ALL):  # ESMM is nowhere above the control
            least = gap(figure, "ESMM", "control")
            assert least.mean < 2 * least.error
        common = gap(page.COMMON, "ESMM")
        assert common.mean + 2 * common.error < page.published("ESMM", 1)
        assert not gap(page.CLICKS, "OVERSAMPLING").apart()
        for method in ("UNBIAS", "DIVISION"):
            clicks = gap(page.CLICKS, method)
            assert clicks.mean + 2 * clicks.error < page.published(method, 0), method
        aman = gap(page.CLICKS, "AMAN")
        assert aman.mean - 2 * aman.error > page.published("AMAN", 0)
        assert gap(page.ALL, "AMAN").apart()
        for method in ("BASE", "ESMM", "control"):  # the level: opposite on clicks
            assert table.mean(simulator, page.BIAS, method).mean > 0
            assert table.mean(simulator, "relative bias, clicks", method).mean < 0
    assert table.gap("sparse", page.CLICKS, "ESMM").apart()
    undecided = table.gap("sparse", page.CLICKS, "OVERSAMPLING")
    assert undecided.mean + 2 * undecided.error > page.published("OVERSAMPLING", 0)
    orders = page.agreement(table, page.CLICKS)
    assert min(orders) > 0.9
    # The paper's table 2: its own gains of ESMM over BASE.
    assert page.published("ESMM", 0) == 2.56
    assert page.published("ESMM", 1) == 3.25


def test_the_map_says_what_was_found(bench):
    page, content = bench("who_is_right_page"), content_of("who_is_right")
    found = page.Map(content["cells"])
    assert found.simulators == list(page.WORLDS)
    assert found.rhos == [-0.8, -0.4, 0.0, 0.4, 0.8]
    corrected = ("escm2_ips", "escm2_dr", "dcmt", "default")
    others = [method for method in found.methods if method != "oracle"]

    def bias(simulator, method):
        return found.over_rhos(simulator, page.BIAS, method).mean

    def loss(simulator, method):
        return found.over_rhos(simulator, page.LOSS, method, "oracle").mean

    assert all(bias("dense", method) < 0.1 for method in others)
    # Where CVR lacks what drives the click the naive model, the control and ESMM follow rho.
    for method in ("click_space", "multitask", "esmm"):
        ends = [found.bias(("cvr_blind", rho), method).mean for rho in (-0.8, 0.8)]
        assert ends[0] < -0.15
        assert ends[1] > 0.2
    assert max(bias("cvr_blind", m) for m in corrected) < bias("cvr_blind", "esmm") / 2
    assert loss("ctr_blind", "esmm") > 4 * loss("ctr_blind", "multitask")
    least = min(loss("ctr_blind", m) for m in ("click_space", "multitask"))
    assert all(loss("ctr_blind", m) > least - 0.0005 for m in corrected)
    assert all(bias("hidden", method) > 0.4 for method in others)
    assert all(bias("mnar", method) > 1 for method in others)
    for method in ("escm2_ips", "escm2_dr"):
        assert loss("low_overlap", method) > 1.2 * loss("low_overlap", "click_space")


def test_the_cart_says_what_was_found(bench):
    page, content = bench("esm2_cart_page"), content_of("esm2_cart")
    sweep = page.Sweep(content["cells"])
    assert sweep.encodings == ["raw ids", "target encodings"]
    assert sweep.rates == [0.1, 0.03, 0.01, 0.003]
    assert len(everywhere_seeds(content, ("encoding", "rate", "method"))) == 1
    for encoding in sweep.encodings:
        rarest, most = (encoding, sweep.rates[-1]), (encoding, sweep.rates[0])
        for other in ("esmm", "multitask"):
            few = sweep.gap(rarest, page.AUC, "esm2", other)
            many = sweep.gap(most, page.AUC, "esm2", other)
            assert few.apart(3)
            assert few.mean > 4
            assert many.mean < 2 * many.error
            assert many.mean < few.mean / 4
        loss = sweep.gap(rarest, page.LOSS)
        assert loss.mean < 0
        assert loss.apart()
        assert sweep.gap(rarest, page.AUC, "esm2", "oracle").apart()
        assert sweep.gap(rarest, page.AUC, "esm2", "oracle").mean > 0
    levels = [sweep.gap((at, sweep.rates[-1]), page.BIAS) for at in sweep.encodings]
    assert levels[0].mean < -2 * levels[0].error
    assert not levels[1].apart()
