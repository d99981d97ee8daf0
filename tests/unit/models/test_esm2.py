"""ESM2: its losses, where it becomes ESMM, and what its losses cannot tell."""

import re

import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, FunnelLabels, Stage, models
from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.models import CLICK_ACTION_PURCHASE
from mtl_seq.nn import compose_conditionals

SPEC = FeatureSpec(ids={"user": 9}, dense=["price"])
ROWS = 400
EXCLUSIVE = Funnel(
    (
        Stage("click"),
        Stage("cart", "click"),
        Stage("favourite", "click"),
        Stage("purchase", "click", ("cart", "favourite")),
    )
)


def labels(seed=0):
    generator = torch.Generator().manual_seed(seed)

    def coin(rate):
        return (torch.rand(ROWS, generator=generator) < rate).double()

    click = coin(0.6)
    action = click * coin(0.5)
    purchase = click * torch.where(action > 0, coin(0.7), coin(0.2))
    return FunnelLabels(torch.stack((click, action, purchase), dim=1))


def predict(*probabilities, funnel=CLICK_ACTION_PURCHASE):
    """A prediction that says the same of every row."""
    logits = torch.tensor(probabilities, dtype=torch.float64).logit()
    return compose_conditionals(funnel, logits.expand(ROWS, -1), {})


def logits(columns, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(ROWS, columns, generator=generator, dtype=torch.float64)


def test_the_three_losses_are_those_of_the_paper():
    result, given = models.esm2(SPEC, seed=0), labels()
    drawn = logits(4)
    y1, y2, y3, y4 = drawn.sigmoid().unbind(1)
    click, action, purchase = given.stages.unbind(1)
    pcvr = y2 * y3 + (1 - y2) * y4
    losses = result.objective(compose_conditionals(CLICK_ACTION_PURCHASE, drawn, {}), given)
    expected = {"ctr": (y1, click), "ctavr": (y1 * y2, action), "ctcvr": (y1 * pcvr, purchase)}
    assert list(losses) == list(expected)
    for name, (p, y) in expected.items():
        by_hand = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        torch.testing.assert_close(losses[name], by_hand, rtol=1e-12, atol=0)


def test_nothing_is_detached():
    drawn = logits(4).requires_grad_()
    prediction = compose_conditionals(CLICK_ACTION_PURCHASE, drawn, {})
    losses = models.esm2(SPEC, seed=0).objective(prediction, labels())
    moved = {}
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, drawn, retain_graph=True)
        moved[name] = [bool((column != 0).any()) for column in gradient.unbind(1)]
    assert moved == {
        "ctr": [True, False, False, False],
        "ctavr": [True, True, False, False],
        "ctcvr": [True, True, True, True],
    }


@pytest.mark.parametrize("never", [-40.0, -1000.0])
def test_where_no_action_happens_it_is_esmm(never):
    drawn = logits(4)
    drawn[:, 1] = never
    ours = compose_conditionals(CLICK_ACTION_PURCHASE, drawn, {})
    theirs = compose_conditionals(models.CLICK_CONVERSION, drawn[:, [0, 3]], {})
    given = labels()
    without = FunnelLabels(given.stages[:, [0, 2]])
    for name in ("pctr", "pcvr", "pctcvr"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-6)
    result = models.esm2(SPEC, seed=0).objective(ours, given)
    expected = models.esmm(SPEC, seed=0).objective(theirs, without)
    for name in ("ctr", "ctcvr"):
        torch.testing.assert_close(result[name], expected[name], rtol=0, atol=1e-6)


def test_paths_of_one_pcvr_are_one_to_the_three_losses_and_two_to_the_path_loss():
    """y2 y3 + (1 - y2) y4 = 0.4 both times."""
    one, other = predict(0.3, 0.5, 0.7, 0.1), predict(0.3, 0.5, 0.2, 0.6)
    torch.testing.assert_close(one.pcvr, other.pcvr, rtol=1e-12, atol=0)
    given = labels()
    published = models.esm2(SPEC, seed=0).objective
    torch.testing.assert_close(
        published.total(one, given), published.total(other, given), rtol=1e-12, atol=0
    )
    named = models.esm2(SPEC, path_weight=1.0, seed=0).objective
    assert list(named(one, given)) == ["ctr", "ctavr", "ctcvr", "path"]
    assert abs(named(one, given)["path"] - named(other, given)["path"]) > 0.01


def test_with_the_path_loss_the_best_paths_are_those_of_the_log():
    """Free logits, trained to the optimum, against the log's own frequencies."""
    given = labels()
    click, action, purchase = given.stages.unbind(1)
    carted, other = click * action > 0, click * (1 - action) > 0
    truth = torch.stack((purchase[carted].mean(), purchase[other].mean()))

    def fit(weight, start):
        objective = models.esm2(SPEC, path_weight=weight, seed=0).objective
        free = torch.tensor([0.0, 0.0, *start], dtype=torch.float64).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [free],
            max_iter=2000,
            tolerance_grad=1e-12,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            prediction = compose_conditionals(CLICK_ACTION_PURCHASE, free.expand(ROWS, -1), {})
            loss = objective.total(prediction, given)
            loss.backward()
            return loss

        optimizer.step(closure)
        return free.detach().sigmoid()[2:]

    starts = ((-2.0, 1.0), (1.0, -2.0))
    identified = [fit(1.0, start) for start in starts]
    for result in identified:
        torch.testing.assert_close(result, truth, rtol=0, atol=1e-5)
    unidentified = [fit(0.0, start) for start in starts]
    assert (unidentified[0] - unidentified[1]).abs().min() > 0.1


def test_each_of_several_exclusive_actions_has_its_losses():
    model = models.esm2(SPEC, funnel=EXCLUSIVE, path_weight=0.5, seed=0)
    generator = torch.Generator().manual_seed(0)
    way = torch.randint(3, (ROWS,), generator=generator)
    click, buy = (torch.randint(2, (ROWS,), generator=generator).double() for _ in range(2))
    cart, favourite = click * (way == 0), click * (way == 1)
    given = FunnelLabels(torch.stack((click, cart, favourite, click * buy), dim=1))
    drawn = logits(6)
    prediction = compose_conditionals(EXCLUSIVE, drawn, {})
    losses = model.objective(prediction, given)
    odds = drawn[:, 1:3].exp()
    y_cart, y_favourite = (odds / (1 + odds.sum(1, keepdim=True))).unbind(1)
    p = drawn.sigmoid()
    expected = {
        "ctavr_cart": (p[:, 0] * y_cart, cart, 1.0),
        "ctavr_favourite": (p[:, 0] * y_favourite, favourite, 1.0),
        "path_cart": (p[:, 0] * y_cart * p[:, 3], cart * buy, 0.5),
        "path_favourite": (p[:, 0] * y_favourite * p[:, 4], favourite * buy, 0.5),
    }
    assert set(losses) == {"ctr", "ctcvr", *expected}
    for name, (probability, label, weight) in expected.items():
        by_hand = weight * binary_cross_entropy(probability.logit(), label).mean()
        torch.testing.assert_close(losses[name], by_hand, rtol=1e-9, atol=0)


@pytest.mark.parametrize("names", [("click", "purchase"), ("click", "cart", "purchase")])
def test_a_funnel_without_a_mediator_is_refused_with_the_way_out(names):
    with pytest.raises(CompositionError, match=re.escape(f"{names} without")) as caught:
        models.esm2(SPEC, funnel=Funnel.chain(*names), seed=0)
    assert "use esmm" in str(caught.value)


def test_a_negative_path_weight_is_refused():
    with pytest.raises(CompositionError, match="must be at least 0 and finite, found -1"):
        models.esm2(SPEC, path_weight=-1.0, seed=0)
