"""Losses of a product on a grid of extreme logits, against closed forms in float64."""

import itertools

import numpy as np
import pytest
import torch

from mtl_seq.functional import binary_cross_entropy, logit_product

STEPS = (2, 4, 8, 12, 20, 30, 60, 100, 200)
LOGITS = sorted({0, *STEPS, *(-step for step in STEPS)})
GRID = np.array(list(itertools.product(LOGITS, LOGITS, (0, 1))), dtype=np.float64)


def sigmoid(x):
    shrunk = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, shrunk) / (1 + shrunk)


def exact_gradients(a, b, y):
    """``-log s(a)s(b)`` or ``-log(1 - s(a)s(b))``, with 1 - s(a)s(b) = s(-a) + s(a)s(-b)."""
    missed = sigmoid(-a) + sigmoid(a) * sigmoid(-b)
    both = sigmoid(a) * sigmoid(b)
    by_a = np.where(y == 1, -sigmoid(-a), both * sigmoid(-a) / missed)
    by_b = np.where(y == 1, -sigmoid(-b), both * sigmoid(-b) / missed)
    return by_a, by_b


def gradients(loss, dtype):
    a, b, y = (torch.tensor(column, dtype=dtype) for column in GRID.T)
    a.requires_grad_()
    b.requires_grad_()
    loss(a, b, y).sum().backward()
    return a.grad.double().numpy(), b.grad.double().numpy()


def stable(a, b, y):
    return binary_cross_entropy(logit_product(a, b), y)


def in_probabilities(a, b, y):
    p = a.sigmoid() * b.sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log())


def clamped(a, b, y):
    p = (a.sigmoid() * b.sigmoid()).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log())


def test_the_grid_is_the_published_one():
    assert len(GRID) == 722


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_the_ctcvr_loss(dtype):
    found = gradients(stable, dtype)
    for ours, exact in zip(found, exact_gradients(*GRID.T), strict=True):
        assert np.isfinite(ours).all()
        assert np.abs(ours - exact).max() <= (1e-5 if dtype == torch.float32 else 1e-12)


def test_half_precision_logits_are_promoted():
    # The logits of the grid are exact in bfloat16, so only the arithmetic could lose anything.
    a, b, y = (torch.tensor(column, dtype=torch.float32) for column in GRID.T)
    half = binary_cross_entropy(logit_product(a.bfloat16().float(), b.bfloat16().float()), y)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, stable(a, b, y), rtol=0, atol=0)
    assert binary_cross_entropy(a.bfloat16(), y).dtype == torch.float32


def test_the_grid_catches_the_forms_in_the_wild():
    exact = np.stack(exact_gradients(*GRID.T))
    naive = np.stack(gradients(in_probabilities, torch.float32))
    killed = np.stack(gradients(clamped, torch.float32))
    assert (~np.isfinite(naive)).any(axis=0).sum() > 100
    dead = ((killed == 0) & (np.abs(exact) > 1e-3)).any(axis=0)
    assert dead.sum() > 100


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_gradient_of_a_conditional_loss(label):
    z = torch.tensor(LOGITS, dtype=torch.float32, requires_grad=True)
    binary_cross_entropy(z, torch.full((len(LOGITS),), label)).sum().backward()
    exact = sigmoid(np.array(LOGITS, dtype=np.float64)) - label
    # s(z) - 1 loses nothing here: it is formed as -s(-z).
    if label == 1:
        exact = -sigmoid(-np.array(LOGITS, dtype=np.float64))
    assert np.abs(z.grad.double().numpy() - exact).max() <= 1e-6
