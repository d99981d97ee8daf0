"""What fixed pairs per user make of heavy users: expected gradients by enumeration of all pairs."""

import numpy as np
import pytest
import torch

from mtl_seq import Funnel, FunnelBatch, FunnelLabels, losses
from mtl_seq.data import ListLoader, PairLoader
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
GENERATOR = torch.Generator().manual_seed(0)
# One user with 60 impressions, some with few, and some of one grade only.
GROUP = torch.tensor([0] * 60 + [1] * 6 + [2] * 5 + [3] * 4 + [4] * 3 + [5] * 2)
ROWS = len(GROUP)
CLICK = (torch.rand(ROWS, generator=GENERATOR) < 0.5).double()
CLICK[GROUP == 4] = 0
CONVERSION = CLICK * (torch.rand(ROWS, generator=GENERATOR) < 0.4)
LABELS = FunnelLabels.of(click=CLICK, conversion=CONVERSION, group=GROUP)
GRADE = torch.maximum(CLICK, 3 * CONVERSION).numpy()
LOGITS = torch.randn((ROWS, 2), generator=GENERATOR, dtype=torch.float64)
X = torch.randn((ROWS, 2), generator=GENERATOR, dtype=torch.float64)


def scores(beta):
    """Logits that depend on two shared parameters, so that a gradient is a vector of two."""
    logits = LOGITS + (X @ beta).unsqueeze(1)
    return compose_conditionals(FUNNEL, logits, {})


def gradient_of_pair(i, j, beta):
    prediction = scores(beta)
    z = prediction.joint_logit["conversion"]
    value = torch.log1p(torch.exp(z[j] - z[i]))
    return torch.autograd.grad(value, beta)[0].numpy()


@pytest.fixture(scope="module")
def by_user():
    """Each user's mean gradient over his pairs, and how many pairs he has, all written out."""
    beta = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    found = {}
    for user in range(6):
        rows = np.flatnonzero(GROUP.numpy() == user)
        pairs = [(i, j) for i in rows for j in rows if GRADE[i] > GRADE[j]]
        if pairs:
            gradients = np.array([gradient_of_pair(i, j, beta) for i, j in pairs])
            found[user] = gradients.mean(0), len(pairs)
    return beta, found


def batch_gradient(loss, batch, beta):
    # Feature "row" says which row of the scenario it is.
    index = batch.features["row"]
    prediction = scores(beta)
    z = prediction.joint_logit["conversion"][index]
    some = prediction._replace(
        joint_logit={"click": z, "conversion": z}, log_joint=prediction.log_joint
    )
    value = loss(some, batch.labels).sum() / len(index)
    return torch.autograd.grad(value, beta)[0].numpy()


def scenario():
    return FunnelBatch({"row": torch.arange(ROWS)}, LABELS)


def epochs(loader, loss, beta, count):
    """Mean gradient of each epoch, its batches weighted by their rows."""
    means = []
    for _ in range(count):
        batches = [(batch_gradient(loss, b, beta), len(b.features["row"])) for b in loader]
        means.append(np.average([g for g, _ in batches], axis=0, weights=[n for _, n in batches]))
    return np.array(means)


def within(found, expected, sigmas=5):
    error = found.std(0, ddof=1) / np.sqrt(len(found))
    return (np.abs(found.mean(0) - expected) <= sigmas * error).all()


def test_with_fixed_pairs_the_expected_gradient_is_the_mean_over_users(by_user):
    beta, users = by_user
    loader = PairLoader(
        scenario(),
        torch.from_numpy(GRADE),
        32,
        per_group=4,
        generator=torch.Generator().manual_seed(1),
    )
    found = epochs(loader, losses.RankNet(), beta, 400)
    by_users = np.mean([g for g, _ in users.values()], axis=0)
    by_pairs = np.average(
        [g for g, _ in users.values()], axis=0, weights=[n for _, n in users.values()]
    )
    assert within(found, by_users)
    assert not within(found, by_pairs)


def test_the_pool_is_dominated_by_the_heavy_user(by_user):
    beta, users = by_user
    loader = PairLoader(
        scenario(),
        torch.from_numpy(GRADE),
        32,
        per_group=4,
        pool=True,
        generator=torch.Generator().manual_seed(1),
    )
    found = epochs(loader, losses.RankNet(), beta, 400)
    sizes = [n for _, n in users.values()]
    by_pairs = np.average([g for g, _ in users.values()], axis=0, weights=sizes)
    by_users = np.mean([g for g, _ in users.values()], axis=0)
    assert within(found, by_pairs)
    assert not within(found, by_users)
    assert max(sizes) > 0.95 * sum(sizes)


def test_whole_lists_give_the_mean_over_users_without_a_draw(by_user):
    """One batch with every user: RankNet's gradient is that of the mean over users, exactly."""
    beta, users = by_user
    found = batch_gradient(losses.RankNet(), scenario(), beta)
    by_users = np.mean([g for g, _ in users.values()], axis=0)
    # A pair counts in both of its rows, and the mean is over rows.
    np.testing.assert_allclose(found, 2 * len(users) / ROWS * by_users, rtol=1e-12)


def test_every_user_has_his_pairs_in_every_epoch():
    loader = PairLoader(
        scenario(),
        torch.from_numpy(GRADE),
        10,
        per_group=7,
        generator=torch.Generator().manual_seed(0),
    )
    graded = {user for user in range(6) if len(set(GRADE[GROUP.numpy() == user])) > 1}
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        rows = torch.cat([b.features["row"] for b in batches]).view(-1, 2)
        assert (GROUP[rows[:, 0]] == GROUP[rows[:, 1]]).all()
        assert (GRADE[rows[:, 0]] > GRADE[rows[:, 1]]).all()
        owners = GROUP[rows[:, 0]].tolist()
        assert {user: owners.count(user) for user in set(owners)} == dict.fromkeys(graded, 7)
        for batch in batches:
            assert batch.labels.group.tolist() == [k // 2 for k in range(len(batch.labels.group))]
            assert torch.equal(batch.labels.stages, LABELS.stages[batch.features["row"]])


def test_by_default_a_better_row_is_met_about_once_an_epoch():
    users = [np.flatnonzero(GROUP.numpy() == user) for user in range(6)]
    better = [int((GRADE[rows] > GRADE[rows].min()).sum()) for rows in users]
    graded = sum(count > 0 for count in better)
    loader = PairLoader(
        scenario(), torch.from_numpy(GRADE), 10, generator=torch.Generator().manual_seed(0)
    )
    assert loader.per_group == round(sum(better) / graded)
    assert loader.pairs == loader.per_group * graded
    assert abs(loader.pairs - sum(better)) <= graded / 2


def test_lists_are_whole_and_each_comes_once_an_epoch():
    loader = ListLoader(
        scenario(),
        torch.from_numpy(GRADE),
        16,
        longest=20,
        generator=torch.Generator().manual_seed(0),
    )
    graded = {user for user in range(6) if len(set(GRADE[GROUP.numpy() == user])) > 1}
    seen = []
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        rows = torch.cat([b.features["row"] for b in batches])
        assert len(set(rows.tolist())) == len(rows)
        owners = GROUP[rows].tolist()
        assert set(owners) == graded
        for user in graded:
            assert owners.count(user) == min(20, int((user == GROUP).sum()))
        seen.append(set(rows[GROUP[rows] == 0].tolist()))
    assert seen[0] != seen[1]  # the long list is cut anew


@pytest.mark.parametrize("loss", [losses.RankNet(), losses.LambdaRank()])
def test_only_the_order_matters_within_a_user(loss):
    """Adding a constant to all of a user's scores changes nothing."""
    prediction = scores(torch.zeros(2, dtype=torch.float64))
    z = prediction.joint_logit["conversion"]
    moved = prediction._replace(
        joint_logit={**prediction.joint_logit, "conversion": z + GROUP.double()}
    )
    torch.testing.assert_close(loss(moved, LABELS), loss(prediction, LABELS))


def test_a_pair_counts_in_both_of_its_rows():
    """A row's term: the sum over its pairs, divided by the user's number of pairs."""
    prediction = scores(torch.zeros(2, dtype=torch.float64))
    z = prediction.joint_logit["conversion"].numpy()
    expected = np.zeros(ROWS)
    for user in range(6):
        rows = np.flatnonzero(GROUP.numpy() == user)
        pairs = [(i, j) for i in rows for j in rows if GRADE[i] > GRADE[j]]
        for i, j in pairs:
            expected[[i, j]] += np.log1p(np.exp(z[j] - z[i])) / len(pairs)
    found = losses.RankNet()(prediction, LABELS).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_row_that_was_not_clicked_has_grade_0():
    stages = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    grade = losses.RankNet().grade(FunnelLabels(stages), FUNNEL.names)
    assert grade.tolist() == [0, 1, 3]
    longer = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]])
    found = losses.RankNet().grade(FunnelLabels(longer), ("click", "cart", "order"))
    assert found.tolist() == [1, 2, 3, 3]
    own = losses.RankNet({"click": 0.5, "conversion": 4}).grade(FunnelLabels(stages), FUNNEL.names)
    assert own.tolist() == [0, 0.5, 4]
