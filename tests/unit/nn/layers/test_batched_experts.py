"""Forms of experts: all give what a loop gives, to 1e-5, and so do their gradients."""

from functools import partial

import pytest
import torch

from mtl_seq import Funnel, nn
from mtl_seq.nn.bottoms.gates import Gate, build_experts
from mtl_seq.nn.layers import batched_experts as forms
from mtl_seq.nn.layers.batched_experts import form_of, run_alike, run_fused, run_wide

ROWS, WIDTH = 1500, 12
FORMS = [run_wide, run_fused]
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)


def experts(hidden=(16, 8), count=3, expert=None):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return build_experts(expert, hidden, WIDTH, count)


def inputs(rows=ROWS, dtype=torch.float32):
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(2), dtype=dtype)


def looped(several, x):
    return [expert(x) for expert in several]


def outcome(form, several, x):
    """Outputs, then the gradient of the input and of every weight."""
    x = x.clone().requires_grad_()
    several.zero_grad()
    outputs = torch.stack(list(form(several, x)))
    (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
    return [outputs.detach(), x.grad, *(p.grad.clone() for p in several.parameters())]


@every_form
@pytest.mark.parametrize("hidden", [(16, 8), (5,), (7, 6, 5)], ids=str)
def test_a_form_gives_what_a_loop_gives(form, hidden):
    several = experts(hidden)
    for result, expected in zip(
        outcome(form, several, inputs()), outcome(looped, several, inputs()), strict=True
    ):
        scale = float(expected.abs().max())
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-5 * max(scale, 1.0))


@every_form
def test_a_form_gives_what_a_loop_gives_in_double(form):
    several = experts().double()
    x = inputs(dtype=torch.float64)
    for result, expected in zip(
        outcome(form, several, x), outcome(looped, several, x), strict=True
    ):
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def test_small_batches_and_wide_experts_are_looped_on_a_cpu_and_narrow_ones_are_not():
    assert form_of(experts(), inputs(rows=256)) is None
    assert form_of(experts(), inputs()) is run_wide
    assert form_of(experts((256, 128)), inputs()) is None
    assert form_of(experts(count=1), inputs()) is None


def test_a_gpu_takes_the_fused_form():
    """No GPU is asked for: only where the rows say they lie."""

    class There:
        shape = (ROWS, WIDTH)
        device = torch.device("cuda")

    assert form_of(experts((256, 128)), There()) is run_fused


def test_user_defined_experts_are_called():
    class Own(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x).sin()

    own = experts(expert=lambda width: Own(width, 4))
    assert form_of(own, inputs()) is None
    torch.testing.assert_close(run_alike(own, inputs())[1], own[1](inputs()))
    assert form_of(experts(hidden=()), inputs()) is None


@pytest.mark.parametrize(
    "bottom",
    [
        partial(nn.MMoE, experts=3),
        partial(nn.OMoE, experts=3),
        partial(nn.PLE, own=2, shared=2),
    ],
    ids=["MMoE", "OMoE", "PLE"],
)
def test_bottoms_agree_on_large_and_small_batches(bottom):
    built = bottom(WIDTH, 2)
    x = inputs()
    parts = torch.cat([built(part) for part in x.split(500)])
    torch.testing.assert_close(built(x), parts, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.stack(built.rows(x), 1), built(x), rtol=0, atol=0)


def test_a_gates_shares_are_the_same_along_rows(monkeypatch):
    gate = Gate(WIDTH, 2, 5)
    x = inputs()
    fast = gate(x)
    monkeypatch.setattr(forms, "_MANY_ROWS", ROWS + 1)
    torch.testing.assert_close(fast, gate(x), rtol=0, atol=1e-6)
    torch.testing.assert_close(fast.sum(2), torch.ones(ROWS, 2))


def test_batched_towers_agree_with_a_loop():
    head = nn.ParallelHead(Funnel.chain("click", "conversion"), WIDTH, {}, hidden=(16, 8))
    x = inputs()
    assert form_of([tower.stack for tower in head.towers], x) is run_wide
    expected = torch.stack([tower(x) for tower in head.towers], dim=1)
    torch.testing.assert_close(head.read((x, x), {}), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(head.read((x, x + 0), {}), expected, rtol=0, atol=0)
