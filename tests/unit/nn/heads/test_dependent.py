"""The head of dependent stages: where lambda starts, when it moves, and how it is held."""

import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, Stage, models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.losses import DependentLikelihood
from mtl_seq.records import FunnelLabels

TWO = Funnel.chain("click", "conversion")
FOUR = Funnel.chain("click", "cart", "order", "payment")


def draw(rows=64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn((rows, 2, 5), generator=rng)
    click = (torch.rand(rows, generator=rng) < 0.4).float()
    conversion = click * (torch.rand(rows, generator=rng) < 0.5)
    return hidden, FunnelLabels.of(click=click, conversion=conversion)


def build(**options):
    torch.manual_seed(0)
    return nn.DependentHead(TWO, 5, {}, hidden=(), **options)


def test_lambda_starts_at_zero_and_the_head_is_a_parallel_one():
    head = build()
    hidden, _ = draw()
    logits = head(hidden, {})
    assert torch.equal(logits[:, :2], head.towers(hidden, {}))
    assert torch.equal(logits[:, 2], torch.zeros(len(hidden)))


def test_a_tower_of_lambda_starts_at_the_number():
    hidden, _ = draw()
    assert torch.equal(
        build(dependence=(4,), log_odds_ratio=0.5)(hidden, {})[:, 2], torch.full((64,), 0.5)
    )


def test_lambda_waits_then_moves_faster_than_a_weight():
    head = build(hold=3, rate=8.0)
    hidden, labels = draw()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    seen = []
    for _ in range(5):
        prediction = nn.compose_dependent(TWO, head(hidden, {}), {})
        optimizer.zero_grad()
        DependentLikelihood()(prediction, labels).mean().backward()
        optimizer.step()
        seen.append(abs(8.0 * head.log_odds_ratio.item()))
    assert seen[:3] == [0, 0, 0]
    # Adam's step after three without a gradient, whatever the gradient.
    step = (0.1 / (1 - 0.9**4)) / (0.001 / (1 - 0.999**4)) ** 0.5
    assert seen[3] == pytest.approx(8.0 * 0.01 * step, rel=1e-3)


def test_passes_count_in_training_only():
    head = build(hold=1).eval()
    hidden, _ = draw()
    head(hidden, {})
    assert int(head.passes) == 0
    head.train()(hidden, {})
    assert int(head.passes) == 1


def test_held_lambda_is_no_parameter_to_train():
    head = build(dependence=(4,))
    head.fix_at(1.5)
    hidden, _ = draw()
    torch.testing.assert_close(head(hidden, {})[:, 2], torch.full((64,), 1.5))
    trained = {name for name, p in head.named_parameters() if p.requires_grad}
    assert all(name.startswith("towers.") for name in trained)
    assert not [
        name for name, _ in build(learned=False).named_parameters() if "log_odds_ratio" in name
    ]


def test_every_edge_has_a_lambda_of_its_own():
    head = nn.DependentHead(FOUR, 5, {}, log_odds_ratio=(0.5, -1.0, 2.0))
    logits = head(torch.zeros((2, 4, 5)), {})
    assert logits.shape == (2, 7)
    torch.testing.assert_close(logits[0, 4:], torch.tensor([0.5, -1.0, 2.0]))


@pytest.mark.parametrize(
    ("funnel", "options", "message"),
    [
        (Funnel((Stage("click"), Stage("a", "click"), Stage("b", "click", ("a",)))), {}, "a chain"),
        (Funnel.chain("click"), {}, "a chain"),
        (FOUR, {"log_odds_ratio": (1.0, 2.0)}, "one per edge"),
    ],
)
def test_bad_input_is_named(funnel, options, message):
    with pytest.raises(CompositionError, match=message):
        nn.DependentHead(funnel, 5, {}, **options)


def test_linear_terms_join_the_towers_and_not_lambda():
    spec = FeatureSpec(ids={"user": 5, "position": 3}, hidden_from={"conversion": ["position"]},
                       wide=["user", "position"])  # fmt: skip
    network = models.esmm_dependent(spec, seed=0).network
    with torch.no_grad():
        network.wide.table.weight.fill_(0.25)
    features = {"user": torch.tensor([1, 2]), "position": torch.tensor([0, 1])}
    logits = network(features).logits
    with torch.no_grad():
        network.wide.table.weight.zero_()
    plain = network(features).logits
    torch.testing.assert_close(logits - plain, torch.tensor([[0.5, 0.25, 0.0]] * 2))


def test_the_levels_of_what_the_click_alone_sees():
    spec = FeatureSpec(ids={"user": 5, "position": 3}, hidden_from={"conversion": ["position"]},
                       wide=["position"])  # fmt: skip
    network = models.esmm_dependent(spec, seed=0).network.eval()
    with torch.no_grad():
        network.wide.table.weight.copy_(
            torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
        )
    features = {"user": torch.tensor([1, 2, 3, 4]), "position": torch.tensor([0, 1, 2, 0])}
    click, rate = network.at_levels(features, {"position": torch.arange(3)})
    for k in range(3):
        prediction = network({**features, "position": torch.full((4,), k)})
        torch.testing.assert_close(click[:, k], prediction.logits[:, 0])
        torch.testing.assert_close(rate, prediction.pcvr_logit)
