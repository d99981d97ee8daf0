"""Gates at their limits, experts, and mixtures on batches without rows."""

from functools import partial

import pytest
import torch
from torch.nn import Linear

from mtl_seq import FeatureSpec, Funnel, FunnelLabels, models, nn
from mtl_seq.nn.bottoms.gates import Gate

F, T, ROWS = 5, 3, 64
FUNNEL = Funnel.chain("click", "conversion")
SPEC = FeatureSpec(ids={"user": 9}, dense=["price"])
MIXTURES = {
    "OMoE": nn.OMoE,
    "MMoE": nn.MMoE,
    "CGC": partial(nn.CGC, own=2),
    "PLE": nn.PLE,
    "SingleTask of MMoE": partial(nn.SingleTask, bottom=nn.MMoE),
}
mixtures = pytest.mark.parametrize("bottom", MIXTURES.values(), ids=list(MIXTURES))


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


def inputs(rows=ROWS):
    return torch.randn((rows, F), generator=torch.Generator().manual_seed(0))


def near(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_a_cold_gate_picks_the_expert_of_the_greatest_logit():
    gate, x = Gate(F, 2, 4, temperature=1e-6), inputs()
    logits = (x @ gate.weight.T).view(ROWS, 2, 4)
    near(gate(x), torch.nn.functional.one_hot(logits.argmax(2), 4).float())


def test_a_hot_gate_gives_every_expert_the_same():
    near(Gate(F, 2, 4, temperature=1e8)(inputs()), torch.full((ROWS, 2, 4), 0.25))


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_temperature_divides_the_logits(temperature):
    warm, plain, x = Gate(F, 2, 4, temperature=temperature), Gate(F, 2, 4), inputs()
    warm.load_state_dict(plain.state_dict())
    near(warm(x), plain(x / temperature))


def test_a_gate_that_would_lose_every_expert_keeps_all():
    gate, x = Gate(F, 3, 2, dropout=0.999).train(), inputs(4000)
    shares, plain = gate(x), gate.eval()(x)
    untouched = (shares - plain).abs().amax(2) < 1e-6
    # All but one in a thousand of the experts are lost, so nearly every gate keeps all.
    assert untouched.double().mean() > 0.99
    near(shares.sum(2), torch.ones(4000, 3))


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_dropout_leaves_no_nan_where_the_kept_shares_underflow(scale, dropout):
    gate, x = Gate(F, 2, 4, dropout=dropout).train(), scale * inputs(500)
    x.requires_grad_()
    shares = gate(x)
    assert bool(torch.isfinite(shares).all())
    near(shares.sum(2), torch.ones(500, 2))
    (shares**2).sum().backward()
    assert bool(torch.isfinite(x.grad).all())
    assert bool(torch.isfinite(gate.weight.grad).all())


@mixtures
def test_dropout_is_for_training_only_and_follows_torchs_seed(bottom):
    inner = bottom.keywords.get("bottom") if isinstance(bottom, partial) else None
    options = {"bottom": partial(inner, gate_dropout=0.5)} if inner else {"gate_dropout": 0.5}
    built, plain = partial(bottom, **options)(F, T), bottom(F, T)
    plain.load_state_dict(built.state_dict())
    x = inputs() if not built.per_tower else inputs().unsqueeze(1).expand(-1, T, -1)
    near(built.eval()(x), plain(x))
    built.train()
    torch.manual_seed(7)
    first, second = built(x), built(x)
    torch.manual_seed(7)
    assert torch.equal(built(x), first)
    assert not torch.equal(second, first)


@mixtures
def test_a_mixture_without_dropout_draws_nothing_in_training(bottom):
    built = bottom(F, T).train()
    x = inputs() if not built.per_tower else inputs().unsqueeze(1).expand(-1, T, -1)
    before = torch.random.get_rng_state()
    built(x)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_no_two_experts_of_ple_start_the_same(levels):
    for level in nn.PLE(F, T, own=2, shared=2, levels=levels).levels:
        experts = [expert for own in level.own for expert in own] + [*level.shared]
        weights = [expert.layers[0].weight for expert in experts]
        for i, weight in enumerate(weights):
            assert not any(torch.allclose(weight, other) for other in weights[:i])


def test_every_level_of_ple_builds_its_experts_for_its_own_input():
    widths = []

    def expert(width):
        widths.append(width)
        return Linear(width, 7)

    built = nn.PLE(F, 2, own=1, shared=1, levels=3, expert=expert)
    assert widths == [F] * 3 + [7] * 6
    assert built(inputs()).shape == (ROWS, 2, built.out_features) == (ROWS, 2, 7)


def test_cgc_is_ple_with_one_level():
    one, other, x = nn.CGC(F, T, own=2, shared=1), nn.PLE(F, T, own=2, shared=1, levels=1), inputs()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))
    assert torch.equal(one.gates(x), other.gates(x))


def test_towers_that_share_nothing_do_not_touch_each_other():
    built = nn.PLE(F, T, own=2, shared=0, levels=2)
    built(inputs())[:, 0].sum().backward()
    for level in built.levels:
        assert level.shared_gate is None
        for tower in range(T):
            parts = (*level.own[tower].parameters(), level.tower_gates[tower].weight)
            moved = any(p.grad is not None and bool((p.grad != 0).any()) for p in parts)
            assert moved == (tower == 0)


def features(rows):
    return {"user": torch.arange(rows) % 9, "price": torch.randn(rows)}


@mixtures
def test_a_networks_gates_are_shares_and_mix_what_its_bottom_gives(bottom):
    net = nn.FunnelNetwork(SPEC, funnel=FUNNEL, bottom=bottom, aux=("imputation",)).eval()
    for rows in (0, 1, 6):
        gates = net.gates(features(rows))
        assert gates.shape[:2] == (rows, len(net.towers)) == (rows, 3)
        near(gates.sum(2), torch.ones(rows, 3))


@pytest.mark.parametrize("rows", [0, 1])
@mixtures
def test_a_batch_without_rows_costs_nothing_and_trains_nothing(bottom, rows):
    model = models.escm2_dr(SPEC, bottom=bottom, seed=0)
    prediction = model(features(rows))
    labels = FunnelLabels.of(click=torch.ones(rows), conversion=torch.zeros(rows))
    assert prediction.pctcvr.shape == (rows,)
    total = model.objective.total(prediction, labels)
    total.backward()
    assert (total.item() == 0) == (rows == 0)
    result = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(bool(torch.isfinite(g).all()) for g in result)
    assert any(bool((g != 0).any()) for g in result) == (rows > 0)
