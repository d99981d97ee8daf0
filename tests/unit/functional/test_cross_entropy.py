"""Binary cross-entropy against closed forms and 100 digits."""

import math

import pytest
import torch
from mpmath import mp, mpf

from mtl_seq.functional import binary_cross_entropy

LOGITS = (-700.0, -90.0, -20.0, -1.5, 0.0, 1.5, 20.0, 90.0, 700.0)
SOFT = (0.0, 1e-6, 0.25, 0.5, 0.9, 1.0)


def exact(logit, label):
    """``y log(1 + e^-z) + (1 - y) log(1 + e^z)`` of the numbers the tensors hold."""
    z, y = mpf(float(logit)), mpf(float(label))
    return y * mp.log1p(mp.exp(-z)) + (1 - y) * mp.log1p(mp.exp(z))


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("label", SOFT)
def test_it_is_the_cross_entropy_of_a_soft_label(dtype, limit, label):
    logits = torch.tensor(LOGITS, dtype=dtype)
    labels = torch.full_like(logits, label)
    found = binary_cross_entropy(logits, labels)
    with mp.workdps(100):
        for ours, z, y in zip(found, logits, labels, strict=True):
            # Losses below the type's normal numbers can only be that small, not exact.
            expected = pytest.approx(float(exact(z, y)), rel=limit, abs=torch.finfo(dtype).tiny)
            assert float(ours) == expected


@pytest.mark.parametrize("label", SOFT)
def test_the_logit_zero_costs_one_bit_whatever_the_label(label):
    found = binary_cross_entropy(torch.zeros(1, dtype=torch.float64), torch.tensor([label]))
    assert float(found) == pytest.approx(math.log(2), rel=1e-15)


@pytest.mark.parametrize("label", SOFT)
def test_the_gradient_is_the_probability_minus_the_label(label):
    logits = torch.linspace(-6, 6, 25, dtype=torch.float64, requires_grad=True)
    target = torch.tensor(label, dtype=torch.float64)
    binary_cross_entropy(logits, target.expand(25)).sum().backward()
    expected = torch.sigmoid(logits.detach()) - target
    torch.testing.assert_close(logits.grad, expected, rtol=0, atol=1e-14)


def test_rows_are_not_reduced():
    found = binary_cross_entropy(torch.zeros(5), torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5]))
    assert found.shape == (5,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_half_logit_costs_what_it_costs_in_float32(dtype):
    logits = torch.tensor([-9.0, -1.5, 0.0, 4.0], dtype=dtype)
    labels = torch.tensor([1.0, 0.0, 0.3, 1.0])
    found = binary_cross_entropy(logits, labels)
    torch.testing.assert_close(found, binary_cross_entropy(logits.float(), labels), rtol=0, atol=0)


def test_integer_labels_count_as_numbers():
    logits = torch.tensor([-1.0, 2.0], dtype=torch.float64)
    found = binary_cross_entropy(logits, torch.tensor([1, 0]))
    expected = [math.log1p(math.exp(1)), math.log1p(math.exp(2))]
    assert found.tolist() == pytest.approx(expected, rel=1e-15)
