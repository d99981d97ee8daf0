"""Aggregated gradients: on the shared part only, towers by the plain sum."""

import sys

import numpy as np
import pytest
import torch

from mtl_seq import FeatureSpec, models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.fit import JacobianDescent
from mtl_seq.fit.balance import Parts, parts_of
from mtl_seq.testing.draws import draw_labels

SPEC = FeatureSpec(
    ids={"user": 20, "item": 10},
    dense=["price"],
    hidden_from={"conversion": ["item"]},
    wide=["user"],
)


def features(rows=64):
    generator = torch.Generator().manual_seed(0)
    return {
        "user": torch.randint(20, (rows,), generator=generator),
        "item": torch.randint(10, (rows,), generator=generator),
        "price": torch.randn(rows, generator=generator),
    }


def built(builder=models.esmm, **settings):
    model = builder(SPEC, seed=0, **settings)
    labels = draw_labels(model.network.funnel, 64, torch.Generator().manual_seed(1))
    return model, lambda: model.objective(model(features()), labels)


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def by_task(model, losses):
    """Each loss's own gradient of every parameter."""
    found = {}
    for name, loss in losses.items():
        model.zero_grad()
        loss.backward(retain_graph=True)
        found[name] = gradients(model)
    model.zero_grad()
    return found


@pytest.mark.parametrize("builder", [models.esmm, models.escm2_dr, models.multitask])
def test_with_the_sum_it_is_plain_backpropagation(builder):
    model, losses = built(builder)
    sum(losses().values()).backward()
    expected = gradients(model)
    model.zero_grad()
    balance = JacobianDescent(tuple(model.objective.losses), aggregator=lambda rows: rows.sum(0))
    balance.backward(balance.gather(losses()), parts_of(model.network))
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-8)


def test_pcgrad_projects_the_shared_part_and_leaves_towers_their_sum():
    """Two tasks, PCGrad's formula written out."""
    pytest.importorskip("torchjd")
    model, losses = built()
    tasks = by_task(model, losses())
    shared = {id(p) for p in parts_of(model.network).shared}
    names = [name for name, p in model.named_parameters() if id(p) in shared]
    ctr, ctcvr = (torch.cat([tasks[t][n].flatten() for n in names]) for t in ("ctr", "ctcvr"))
    # Turn one of them round, so that there is a conflict to resolve.
    balance = JacobianDescent(("ctr", "ctcvr"), aggregator="PCGrad")
    found = losses()
    balance.backward(torch.stack((found["ctr"], -0.7 * found["ctcvr"])), parts_of(model.network))
    ctcvr = -0.7 * ctcvr
    inner = ctr @ ctcvr
    assert inner < 0
    projected = (ctr - inner / (ctcvr @ ctcvr) * ctcvr) + (ctcvr - inner / (ctr @ ctr) * ctr)
    now = gradients(model)
    torch.testing.assert_close(
        torch.cat([now[n].flatten() for n in names]), projected, rtol=1e-4, atol=1e-7
    )
    for name, gradient in now.items():
        if name not in names:
            expected = tasks["ctr"].get(name, 0) - 0.7 * tasks["ctcvr"].get(name, 0)
            torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)


def test_esmms_losses_share_towers_and_the_click_tower_has_both():
    """Why the parts are not the textbook's: CTCVR reaches the towers of both."""
    model, losses = built()
    tasks = by_task(model, losses())
    towers = {name for name in tasks["ctcvr"] if "head.towers" in name}
    assert any("towers.0" in name for name in towers)
    assert any("towers.1" in name for name in towers)
    own = {id(p) for p in parts_of(model.network).unshared}
    by_name = dict(model.named_parameters())
    assert all(id(by_name[name]) in own for name in towers)


PLACES = {
    "MMoE": (models.esmm, {"bottom": nn.MMoE}, ("embedding", "bottom")),
    "PLE": (models.esmm, {"bottom": nn.PLE}, ("embedding", "bottom")),
    "shared": (models.esmm, {"bottom": nn.SharedBottom}, ("embedding", "bottom")),
    "embeddings only": (models.esmm, {"bottom": nn.SingleTask}, ("embedding",)),
    "nothing": (models.esmm_ns, {}, ()),
}


@pytest.mark.parametrize("name", PLACES)
def test_every_parameter_is_in_one_part(name):
    builder, settings, expected = PLACES[name]
    network = builder(SPEC, seed=0, **settings).network
    parts = parts_of(network)
    ids = [id(p) for part in parts for p in part]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    shared = {id(p) for p in parts.shared}
    found = {n.split(".")[0] for n, p in network.named_parameters() if id(p) in shared}
    assert found == set(expected)


def test_a_network_that_shares_nothing_is_refused():
    model, losses = built(models.esmm_ns)
    balance = JacobianDescent(("ctr", "ctcvr"), aggregator=lambda rows: rows.sum(0))
    with pytest.raises(CompositionError, match="the towers of this network share none"):
        balance.backward(balance.gather(losses()), parts_of(model.network))


# Two quadratics that disagree at theta.
THETA = [0.4, -0.3]
SLOPES = np.array([[1.0, 0.2], [-0.6, 0.5]])


def combined(aggregator, slopes=SLOPES, **settings):
    theta = torch.nn.Parameter(torch.tensor(THETA, dtype=torch.float64))
    names = tuple("abc"[: len(slopes)])
    balance = JacobianDescent(names, aggregator=aggregator, settings=settings)
    losses = torch.tensor(slopes) @ theta + 2
    balance.backward(losses, Parts((), (theta,), ()))
    return theta.grad.numpy()


def test_upgrad_harms_no_task_to_first_order():
    """Its formula: the mean of each gradient projected onto the cone of directions good for all."""
    pytest.importorskip("qpsolvers")
    assert SLOPES[0] @ SLOPES[1] < 0
    found = combined("UPGrad")
    assert (SLOPES @ found >= -1e-6).all()
    # Two tasks: a gradient in conflict is projected onto what is orthogonal to the other.
    g, h = SLOPES
    expected = ((g - g @ h / (h @ h) * h) + (h - g @ h / (g @ g) * g)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_gradvac_without_a_past_is_pcgrad():
    pytest.importorskip("torchjd")
    np.testing.assert_allclose(combined("GradVac"), combined("PCGrad"), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
def test_nash_mtl_solves_its_bargain():
    """``G G' alpha = 1 / alpha``: each task gains ``1 / alpha_k`` from the step."""
    pytest.importorskip("ecos")
    found = combined("NashMTL")
    alpha = np.linalg.solve(SLOPES.T, found)
    assert (alpha > 0).all()
    gains = SLOPES @ SLOPES.T @ alpha * alpha
    np.testing.assert_allclose(gains / gains[0], 1, rtol=2e-2)


def test_cagrad_stays_within_its_ball_and_does_better_by_the_worst_task():
    pytest.importorskip("clarabel")
    mean = SLOPES.mean(0)
    found = combined("CAGrad", c=0.4)
    # TorchJD's direction is the average gradient plus one of at most c times its length.
    assert np.linalg.norm(found - mean) <= 0.4 * np.linalg.norm(mean) * (1 + 1e-3)
    assert (SLOPES @ found).min() > (SLOPES @ mean).min() + 1e-3


SILENT = {
    "PCGrad": {},
    "GradVac": {},
    "CAGrad": {"c": 0.4},
    "UPGrad": {},
    "MGDA": {},
    "NashMTL": {},
}


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
# With such a task NashMTL's bargain has no solution: its solver warns, its last weights stay.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SILENT)
def test_a_task_without_a_gradient_stops_no_other(name):
    """As a loss on clicks in a batch without any: the step is one down the other tasks' losses."""
    needs = {"CAGrad": "clarabel", "NashMTL": "ecos", "UPGrad": "qpsolvers"}
    pytest.importorskip(needs.get(name, "torchjd"))
    alone = np.stack((SLOPES[0], np.zeros(2)))
    found = combined(name, alone, **SILENT[name])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found / np.linalg.norm(found), SLOPES[0] / np.hypot(*SLOPES[0]))
    three = np.stack((SLOPES[0], np.zeros(2), SLOPES[1]))
    found = combined(name, three, **SILENT[name])
    assert (SLOPES @ found > 1e-3).all()
    assert combined(name, np.zeros((2, 2)), **SILENT[name]).tolist() == [0, 0]


def test_what_stands_still_is_asked_again_without_the_silent():
    """Scaled by their share, as a mean with the zero row would be."""
    seen = []

    def shy(rows):
        seen.append(rows.shape[0])
        return rows.mean(0) if bool((rows != 0).any(1).all()) else torch.zeros_like(rows[0])

    three = np.stack((SLOPES[0], np.zeros(2), SLOPES[1]))
    np.testing.assert_allclose(combined(shy, three), SLOPES.sum(0) / 3, rtol=1e-12)
    assert seen == [3, 2]


def test_without_torchjd_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(CompositionError, match=r"not installed.*pip install 'mtl_seq\[balance\]'"):
        JacobianDescent(("a", "b"), aggregator="PCGrad")


def test_without_a_librarys_own_extra_too(monkeypatch):
    aggregation = pytest.importorskip("torchjd.aggregation")

    class NeedsMore(aggregation.Aggregator):
        def forward(self, _, /):
            raise ImportError("NeedsMore requires ['cvxpy'] to be installed")

    monkeypatch.setattr(aggregation, "NeedsMore", NeedsMore, raising=False)
    with pytest.raises(CompositionError, match=r"requires \['cvxpy'\].*mtl_seq\[balance\]"):
        JacobianDescent(("a", "b"), aggregator="NeedsMore")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("SGD", {}, "must name an aggregator of TorchJD, .* found 'SGD'"),
        ("UPGradWeighting", {}, "must name an aggregator of TorchJD"),
        ("CAGrad", {}, r"`settings` \{\} do not fit the aggregator 'CAGrad'.*'c'"),
        ("PCGrad", {"c": 1}, "do not fit the aggregator 'PCGrad'"),
    ],
)
def test_a_name_or_settings_that_do_not_fit_are_refused(name, settings, message):
    pytest.importorskip("torchjd")
    with pytest.raises(CompositionError, match=message):
        JacobianDescent(("a", "b"), aggregator=name, settings=settings)


def test_a_function_takes_no_settings_and_must_give_a_gradient():
    with pytest.raises(CompositionError, match=r"use `functools.partial`"):
        JacobianDescent(("a", "b"), aggregator=sum, settings={"start": 0})
    with pytest.raises(CompositionError, match=r"one number per parameter, \(2,\), found \(1,\)"):
        combined(lambda rows: rows.sum(0)[:1])
