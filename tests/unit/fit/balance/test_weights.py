"""Weights of tasks against their papers' formulas, on a quadratic of two losses.

``L_k = (a_k / 2) |theta - m_k|^2 + c_k``: gradients are ``a_k (theta - m_k)``, by hand.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq.errors import CompositionError
from mtl_seq.fit import DWA, GradNorm, Uncertainty
from mtl_seq.fit.balance import Parts

NAMES = ("ctr", "ctcvr")
CURVE, PLACE, LEAST = np.array([1.0, 20.0]), np.array([[1.0, 0.0], [-1.0, 2.0]]), 0.3


def parts(theta):
    return Parts((), (theta,), ())


def losses_of(theta):
    curve, place = torch.tensor(CURVE), torch.tensor(PLACE)
    return curve / 2 * torch.square(theta - place).sum(1) + LEAST


def at(theta):
    """Losses and gradients, in NumPy."""
    apart = theta - PLACE
    return CURVE / 2 * np.square(apart).sum(1) + LEAST, CURVE[:, None] * apart


def start(*, dtype=torch.float64):
    return torch.nn.Parameter(torch.tensor([0.5, -0.7], dtype=dtype))


def descend(balance, steps, rate=0.01, *, learned_rate=0.05):
    """Gradient descent on theta and on what the balance learns; weights before each step."""
    theta = start()
    balance.double()
    optimizer = torch.optim.SGD(
        [{"params": [theta], "lr": rate}]
        + [{"params": balance.learned(), "lr": learned_rate}] * bool(balance.learned())
    )
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        seen.append(balance.weights().numpy())
        balance.backward(losses_of(theta), parts(theta))
        optimizer.step()
    return theta.detach().numpy(), np.array(seen)


def test_uncertainty_is_kendalls_formula():
    found, weights = descend(Uncertainty(NAMES), 40)
    theta, s = np.array([0.5, -0.7]), np.zeros(2)
    for step in range(40):
        loss, gradient = at(theta)
        np.testing.assert_allclose(weights[step], np.exp(-s) / 2, rtol=1e-10)
        moved = theta - 0.01 * (np.exp(-s) / 2) @ gradient
        s = s - 0.05 * (0.5 - loss * np.exp(-s) / 2)
        theta = moved
    np.testing.assert_allclose(found, theta, rtol=1e-10)


def test_uncertainty_is_that_of_torchjd():
    scalarization = pytest.importorskip("torchjd.scalarization")
    ours, theirs = Uncertainty(NAMES), scalarization.UW(2)
    with torch.no_grad():
        ours.log_variance.copy_(torch.tensor([0.4, -1.3]))
        theirs.log_var.copy_(torch.tensor([0.4, -1.3]))
    losses = torch.tensor([0.7, 0.02])
    torch.testing.assert_close(ours.total(losses), theirs(losses))


def test_for_fixed_losses_every_task_ends_with_the_same_part_of_the_total():
    balance = Uncertainty(NAMES)
    losses = torch.tensor([0.5, 0.004])
    optimizer = torch.optim.SGD(balance.learned(), lr=0.5)
    for _ in range(400):
        optimizer.zero_grad()
        theta = torch.zeros(1, requires_grad=True)
        balance.backward(losses + 0 * theta, parts(theta))
        optimizer.step()
    np.testing.assert_allclose(balance.weights() * losses, 0.5, rtol=1e-4)


def test_a_bounded_uncertainty_stops_there():
    balance = Uncertainty(NAMES, largest=10.0)
    optimizer = torch.optim.SGD(balance.learned(), lr=0.5)
    losses, seen = torch.tensor([0.5, 1e-6]), []
    for _ in range(200):
        optimizer.zero_grad()
        theta = torch.zeros(1, requires_grad=True)
        balance.backward(losses + 0 * theta, parts(theta))
        optimizer.step()
        seen.append(balance.weights())
    assert torch.stack(seen).max() <= 10 * (1 + 1e-6)
    assert balance.weights()[1] == pytest.approx(10, rel=1e-6)
    # And comes back from the bound when the loss does.
    for _ in range(200):
        optimizer.zero_grad()
        theta = torch.zeros(1, requires_grad=True)
        balance.backward(torch.tensor([0.5, 0.5]) + 0 * theta, parts(theta))
        optimizer.step()
    assert balance.weights()[1] == pytest.approx(1, rel=1e-3)


def dwa_by_hand(history, temperature):
    """Weights in each period from the mean losses of all periods, ``(T, K)``."""
    weights = []
    for t in range(len(history)):
        if t < 2:
            weights.append(np.ones(history.shape[1]))
            continue
        rate = history[t - 1] / history[t - 2]
        share = np.exp(rate / temperature)
        weights.append(history.shape[1] * share / share.sum())
    return np.array(weights)


@pytest.mark.parametrize("steps", [None, 5])
def test_dwa_is_its_formula(steps):
    balance = DWA(NAMES, temperature=0.7, steps=steps).double()
    rng = np.random.default_rng(0)
    losses = rng.uniform(0.1, 2, (6, 5, 2))
    found = []
    for period in losses:
        found.append(balance.weights().numpy())
        for row in period:
            theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
            balance.backward(torch.tensor(row) * torch.exp(theta), parts(theta))
            np.testing.assert_allclose(theta.grad.numpy(), found[-1] * row, rtol=1e-12)
        balance.end_epoch()
    expected = dwa_by_hand(losses.mean(1), 0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(np.sum(found, axis=1), 2, rtol=1e-12)


def test_dwa_is_that_of_torchjd():
    scalarization = pytest.importorskip("torchjd.scalarization")
    ours, theirs = DWA(NAMES), scalarization.DWA(temperature=2.0)
    for epoch in range(4):
        losses = torch.rand(2, generator=torch.Generator().manual_seed(epoch)) + 0.1
        theta = torch.zeros(1, requires_grad=True)
        total = theirs(losses)
        torch.testing.assert_close((ours.weights() * losses).sum(), total)
        ours.backward(losses + 0 * theta, parts(theta))
        ours.end_epoch()
        theirs.step()


def test_a_loss_of_zero_does_not_break_dwa():
    balance = DWA(NAMES, steps=1)
    for losses in ([0.0, 1.0], [0.0, 0.5], [0.2, 0.5]):
        theta = torch.zeros(1, requires_grad=True)
        balance.backward(torch.tensor(losses) + 0 * theta, parts(theta))
    assert torch.isfinite(balance.weights()).all()


class Adam:
    """Kingma and Ba's update, in NumPy."""

    def __init__(self, rate):
        self.rate, self.first, self.second, self.step = rate, 0.0, 0.0, 0

    def __call__(self, x, gradient):
        self.step += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        mean = self.first / (1 - 0.9**self.step)
        spread = np.sqrt(self.second / (1 - 0.999**self.step))
        return x - self.rate * mean / (spread + 1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_gradnorm_is_its_formula(alpha):
    balance = GradNorm(NAMES, alpha=alpha, lr=0.025)
    found, weights = descend(balance, 30)
    theta, w, adam = np.array([0.5, -0.7]), np.ones(2), Adam(0.025)
    initial, _ = at(theta)
    for step in range(30):
        loss, gradient = at(theta)
        np.testing.assert_allclose(weights[step], w, rtol=1e-6)
        norm = np.linalg.norm(gradient, axis=1)
        rate = (loss / initial) / (loss / initial).mean()
        target = (w * norm).mean() * rate**alpha
        slope = np.sign(w * norm - target) * norm  # of sum |w_k |g_k| - c_k| by w_k
        theta = theta - 0.01 * w @ gradient
        w = adam(w, slope)
        w = 2 * w / w.sum()
    np.testing.assert_allclose(found, theta, rtol=1e-6)


def test_with_alpha_0_tasks_come_to_pull_equally_hard():
    balance = GradNorm(NAMES, alpha=0.0, lr=0.01)
    for _ in range(1500):
        theta = torch.tensor([1.0, 1.0], requires_grad=True)
        slopes = torch.tensor([[0.3, 0.4], [3.0, -4.0]])  # norms 0.5 and 5
        balance.backward(slopes @ theta, parts(theta))
    pull = balance.weights() * torch.tensor([0.5, 5.0])
    assert float(pull[0] / pull[1]) == pytest.approx(1, abs=0.1)
    assert float(balance.weights().sum()) == pytest.approx(2, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(0, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=12
    ),
    st.floats(0, 3),
)
def test_gradnorms_weights_are_positive_and_add_up_to_the_number_of_tasks(rows, alpha):
    balance = GradNorm(("a", "b", "c"), alpha=alpha, lr=0.3)
    for row in rows:
        theta = torch.tensor([1.0, 0.5, -1.0], requires_grad=True)
        balance.backward(torch.tensor(row) * (1 + theta - theta.detach()), parts(theta))
        weights = balance.weights()
        assert float(weights.sum()) == pytest.approx(3, abs=1e-4)
        assert (weights > 0).all()
        assert torch.isfinite(theta.grad).all()


def test_the_embedding_is_looked_at_where_each_tower_has_its_own_bottom():
    theta, tower = start(), start()
    balance = GradNorm(NAMES).double()
    balance.backward(losses_of(theta) + (tower**2).sum(), Parts((theta,), (), (tower,)))
    assert theta.grad is not None
    assert tower.grad is not None
    with pytest.raises(CompositionError, match="the towers of this network share none"):
        balance.backward(losses_of(theta), Parts((), (), (theta,)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uncertainty(("ctr",)), r"at least two tasks to balance, found \('ctr',\)"),
        (lambda: DWA(NAMES, tasks={"all": NAMES}), r"at least two tasks .* leave `balance` out"),
        (lambda: DWA(NAMES, tasks={"a": ["ctr"], "b": ["cvr"]}), "must name each .* once"),
        (lambda: DWA(NAMES, tasks={"a": NAMES, "b": ["ctr"]}), "must name each .* once"),
        (lambda: Uncertainty(NAMES, largest=0.5), "`largest` must be above 0.5, .* found 0.5"),
        (lambda: DWA(NAMES, temperature=0), "`temperature` must be above 0, found 0"),
        (lambda: DWA(NAMES, steps=0), "`steps` must be at least 1, found 0"),
        (lambda: GradNorm(NAMES, alpha=-1), "`alpha` must be at least 0 and `lr` above 0"),
        (lambda: GradNorm(NAMES, lr=0), "`alpha` must be at least 0 and `lr` above 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(CompositionError, match=message):
        make()


def test_tasks_are_sums_of_losses():
    balance = DWA(("ctr", "cvr", "ctcvr"), tasks={"ctr": ["ctr"], "cvr": ["cvr", "ctcvr"]})
    losses = {"ctr": torch.tensor(1.0), "cvr": torch.tensor(0.25), "ctcvr": torch.tensor(0.5)}
    assert balance.gather(losses).tolist() == [1.0, 0.75]
    assert balance.figures() == {"balance/ctr": 1.0, "balance/cvr": 1.0}
