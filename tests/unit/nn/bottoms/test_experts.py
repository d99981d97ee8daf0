"""Mixtures of experts against computations by hand, and against each other where they coincide."""

from functools import partial

import pytest
import torch
from torch import nn as tnn

from mtl_seq import FeatureSpec, Funnel, nn
from mtl_seq.errors import CompositionError
from mtl_seq.nn.bottoms.gates import Gate

F, T, ROWS = 5, 3, 11
ONE = nn.MLP(F, (4,))


@pytest.fixture
def x():
    return torch.randn((ROWS, F), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


def near(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def by_hand(gate_weight, experts, x, temperature=1.0):
    """One gate's mixture: a plain sum over experts."""
    share = torch.softmax(x @ gate_weight.T / temperature, dim=1)
    return sum(share[:, [e]] * expert(x) for e, expert in enumerate(experts))


def test_omoe_is_one_mixture_for_all_towers(x):
    built = nn.OMoE(F, T, experts=4, hidden=(8, 6))
    expected = by_hand(built.gate.weight, built.experts, x)
    for tower in range(T):
        near(built(x)[:, tower], expected)


def test_mmoe_with_one_expert_is_a_shared_bottom(x):
    mixture, plain = nn.MMoE(F, T, experts=1, hidden=(8,)), nn.SharedBottom(F, T, hidden=(8,))
    plain.stack.load_state_dict(mixture.experts[0].state_dict())
    near(mixture(x), plain(x))


def test_mmoe_with_tied_gates_is_omoe(x):
    many, one = nn.MMoE(F, T, experts=4), nn.OMoE(F, T, experts=4)
    one.experts.load_state_dict(many.experts.state_dict())
    with torch.no_grad():
        many.gate.weight.copy_(one.gate.weight.repeat(T, 1))
    near(many(x), one(x))


def test_ple_with_no_own_experts_and_one_level_is_mmoe(x):
    ple, mmoe = nn.PLE(F, T, own=0, shared=4, levels=1), nn.MMoE(F, T, experts=4)
    level = ple.levels[0]
    mmoe.experts.load_state_dict(level.shared.state_dict())
    with torch.no_grad():
        mmoe.gate.weight.copy_(torch.cat([gate.weight for gate in level.tower_gates]))
    near(ple(x), mmoe(x))
    near(ple.gates(x), mmoe.gates(x))


def test_cgc_mixes_own_and_shared_experts(x):
    built = nn.CGC(F, T, own=2, shared=1, hidden=(6,))
    level = built.levels[0]
    for tower in range(T):
        experts = [*level.own[tower], *level.shared]
        near(built(x)[:, tower], by_hand(level.tower_gates[tower].weight, experts, x))


def test_two_levels_of_ple_read_what_the_first_made(x):
    built = nn.PLE(F, T, own=1, shared=2, levels=2, hidden=(6,))
    first, second = built.levels
    every = [own[0] for own in first.own] + [*first.shared]
    common = by_hand(first.shared_gate.weight, every, x)
    for tower in range(T):
        own = first.own[tower][0]
        h = by_hand(first.tower_gates[tower].weight, [own, *first.shared], x)
        outputs = [second.own[tower][0](h), *(expert(common) for expert in second.shared)]
        share = torch.softmax(h @ second.tower_gates[tower].weight.T, dim=1)
        expected = sum(share[:, [e]] * output for e, output in enumerate(outputs))
        near(built(x)[:, tower], expected)
    assert second.shared_gate is None


def test_gates_of_ple_give_nothing_to_another_towers_experts(x):
    built = nn.PLE(F, T, own=2, shared=1, levels=2)
    gates = built.gates(x)
    assert gates.shape == (ROWS, T, 2 * T + 1)
    for tower in range(T):
        foreign = [e for e in range(2 * T) if e // 2 != tower]
        assert (gates[:, tower, foreign] == 0).all()
        assert (gates[:, tower, [2 * tower, 2 * tower + 1, 2 * T]] > 0).all()


def test_experts_start_different_from_each_other(x):
    for built in (nn.MMoE(F, T, experts=4), nn.OMoE(F, T, experts=4)):
        outputs = [expert(x) for expert in built.experts]
        for i in range(4):
            for j in range(i):
                assert not torch.allclose(outputs[i], outputs[j])


@pytest.mark.parametrize(("temperature", "entropy"), [(1e-3, 0.0), (1e6, 1.0)])
def test_temperature_leads_from_one_expert_to_all(x, temperature, entropy):
    gates = Gate(F, 1, 4, temperature=temperature)(x).squeeze(1).double()
    result = -(gates * gates.clamp_min(1e-300).log()).sum(1) / torch.tensor(4.0).log()
    assert (result - entropy).abs().max() < 0.05


def test_gate_dropout_renormalises_what_is_left(x):
    gate = Gate(F, 2, 4, dropout=0.6)
    plain = gate.eval()(x)
    dropped = gate.train()(x)
    assert torch.isfinite(dropped).all()
    near(dropped.sum(2), torch.ones(ROWS, 2))
    assert (dropped == 0).any()
    kept = dropped > 0
    assert kept.any(2).all()
    expected = plain * kept / (plain * kept).sum(2, keepdim=True)
    near(dropped, expected)


def test_gate_dropout_takes_the_asked_share():
    gate = Gate(F, 1, 8, dropout=0.25).train()
    share = (gate(torch.zeros(4000, F)) == 0).double().mean()
    assert abs(share - 0.25) <= 5 * (0.25 * 0.75 / 32_000) ** 0.5


def test_an_expert_may_be_any_module(x):
    class Doubling(tnn.Module):
        def __init__(self, width):
            super().__init__()
            self.line = tnn.Linear(width, 7)
            self.out_features = 7

        def forward(self, x):
            return 2 * self.line(x)

    built = nn.MMoE(F, T, experts=2, expert=Doubling)
    assert built.out_features == 7
    gates = built.gates(x)
    expected = sum(
        gates[:, :, [e]] * expert(x).unsqueeze(1) for e, expert in enumerate(built.experts)
    )
    near(built(x), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(nn.MMoE, experts=0), "`experts` must be at least 1, found 0"),
        (partial(nn.OMoE, experts=0), "`experts` must be at least 1, found 0"),
        (partial(nn.PLE, own=0, shared=0), "`own=0` and `shared=0`"),
        (partial(nn.PLE, levels=0), "`levels` must be at least 1, found 0"),
        (partial(nn.MMoE, temperature=0.0), "`temperature` must be positive"),
        (partial(nn.MMoE, gate_dropout=1.0), r"`gate_dropout` must lie in \[0, 1\)"),
        (partial(nn.MMoE, expert=lambda _: tnn.ReLU()), "`out_features`"),
        (partial(nn.MMoE, expert=lambda _: ONE), "a new module"),
    ],
)
def test_options_out_of_range_are_named(build, message):
    with pytest.raises(CompositionError, match=message):
        build(F, T)


def test_a_network_shows_its_gates_by_tower():
    spec = FeatureSpec(ids={"user": 9}, dense=["price"])
    net = nn.FunnelNetwork(
        spec, funnel=Funnel.chain("click", "order"), bottom=nn.MMoE, aux=("imputation",)
    )
    features = {"user": torch.arange(6), "price": torch.randn(6)}
    assert net.towers == ("click", "order", "imputation")
    gates = net.gates(features)
    assert gates.shape == (6, 3, 4)
    near(gates.sum(2), torch.ones(6, 3))
    alone = nn.FunnelNetwork(spec, funnel=Funnel.chain("click", "order"), bottom=nn.SharedBottom)
    with pytest.raises(CompositionError, match=r"must mix experts .* found SharedBottom"):
        alone.gates(features)


def test_separate_bottoms_return_the_gates_of_their_experts():
    built = nn.SingleTask(F, T, bottom=partial(nn.MMoE, experts=3))
    inputs = torch.randn((ROWS, T, F), generator=torch.Generator().manual_seed(2))
    gates = built.gates(inputs)
    assert gates.shape == (ROWS, T, 3 * T)
    for tower in range(T):
        own = gates[:, tower, 3 * tower : 3 * tower + 3]
        near(own, built.bottoms[tower].gates(inputs[:, tower])[:, 0])
    near(gates.sum(2), torch.ones(ROWS, T))
