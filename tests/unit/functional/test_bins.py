"""Bins of the logit keep rare probabilities apart."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq.functional import LOGIT_BINS, auc, logit_bin

WIDTH = 40 / LOGIT_BINS


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.floats(-19.99, 19.99))
def test_a_bin_is_as_wide_as_stated(logit):
    place = int(logit_bin(torch.sigmoid(torch.tensor([logit], dtype=torch.float64))))
    # The logit of a sigmoid near 1 is itself known to a few 1e-8 only.
    assert place * WIDTH - 20 - 1e-6 <= logit <= (place + 1) * WIDTH - 20 + 1e-6


def test_order_is_kept_and_the_ends_are_closed():
    p = torch.cat((torch.zeros(1), torch.logspace(-12, 0, 5000, dtype=torch.float64)))
    found = logit_bin(p.sort().values)
    assert (found.diff() >= 0).all()
    assert found[0] == 0
    assert found[-1] == LOGIT_BINS - 1
    assert logit_bin(torch.zeros(0)).shape == (0,)


def test_auc_of_the_bins_is_that_of_rare_probabilities():
    """A million rows at a CTCVR of 1e-4: uniform bins of the probability are off by over 1e-4."""
    rng = np.random.default_rng(0)
    logit = rng.normal(-9.5, 1.0, size=1_000_000)
    p = 1 / (1 + np.exp(-logit))
    exact = float(auc(p, p))
    assert abs(float(auc(logit_bin(torch.from_numpy(p)), p)) - exact) < 1e-6
    assert abs(float(auc(np.floor(p * LOGIT_BINS), p)) - exact) > 1e-4
