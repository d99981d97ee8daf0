"""Row-wise optimisers: their formulas, what they leave alone, and that fast paths are right."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mtl_seq.errors import CompositionError, DataError
from mtl_seq.fit import DenseAdam, RowWiseAdagrad, RowWiseAdam
from mtl_seq.fit.optim import RowOptimizer, table_gradients

ROWS, WIDTH, STEPS = 12, 3, 9
RULES = [RowWiseAdagrad(), RowWiseAdam(), RowWiseAdam(rate=3.0, beta=0.9, eps=1e-3)]
rules = pytest.mark.parametrize("rule", RULES, ids=repr)


class Net(nn.Module):
    """Ids through a table and a line; one id stands in a batch more than once."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(ROWS, WIDTH)
        self.line = nn.Linear(WIDTH, 1)

    def forward(self, index):
        return self.line(self.table(index)).squeeze(-1)


def net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net()


def batches(steps=STEPS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        index = torch.randint(8, (10,), generator=generator)  # rows 8 to 11 are never seen
        yield index, torch.randn(10, generator=generator)


def train(model, optimizer, steps, schedule=None):
    for index, target in steps:
        optimizer.zero_grad()
        functional.mse_loss(model(index), target).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()


def gradients(model, steps):
    """By step, the table's dense gradients as the model moves on, and what is done with them."""
    for index, target in steps:
        model.zero_grad()
        functional.mse_loss(model(index), target).backward()
        yield model.table.weight.grad.double().numpy()


def test_adagrad_divides_by_the_root_of_a_rows_summed_mean_squares():
    model, reference = net(), net()
    table = reference.table.weight.detach().double().numpy()
    total = np.zeros(ROWS)
    slow = torch.optim.AdamW(reference.line.parameters(), lr=0.1, weight_decay=0.0)
    for gradient in gradients(reference, batches()):
        total += (gradient**2).mean(1)
        table -= 0.2 * gradient / (np.sqrt(total) + 1e-8)[:, None]
        slow.step()
        reference.table.weight.data = torch.tensor(table, dtype=torch.float32)
    optimizer = RowWiseAdagrad(rate=2.0)(model, lr=0.1)
    with table_gradients(model, RowWiseAdagrad()):
        train(model, optimizer, batches())
    np.testing.assert_allclose(model.table.weight.detach().numpy(), table, rtol=0, atol=2e-5)


def test_adam_divides_by_what_dense_adam_holds_averaged_over_the_row():
    model, reference = net(), net()
    table = reference.table.weight.detach().double().numpy()
    square, beta = np.zeros(ROWS), 0.9
    slow = torch.optim.AdamW(reference.line.parameters(), lr=0.01, weight_decay=0.0)
    for step, gradient in enumerate(gradients(reference, batches()), start=1):
        # Every row at every step, seen or not.
        square = beta * square + (1 - beta) * (gradient**2).mean(1)
        table -= 0.01 * gradient / (np.sqrt(square / (1 - beta**step)) + 1e-8)[:, None]
        slow.step()
        reference.table.weight.data = torch.tensor(table, dtype=torch.float32)
    rule = RowWiseAdam(beta=beta)
    with table_gradients(model, rule):
        train(model, rule(model, lr=0.01), batches())
    np.testing.assert_allclose(model.table.weight.detach().numpy(), table, rtol=0, atol=2e-5)


@rules
def test_sparse_gradients_end_where_dense_ones_do(rule):
    fast, slow = net(), net()
    with table_gradients(fast, rule):
        train(fast, rule(fast, lr=0.01), batches())
        assert fast.table.weight.grad.is_sparse
    train(slow, rule(slow, lr=0.01), batches())
    assert not slow.table.weight.grad.is_sparse
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@rules
def test_rows_that_no_batch_names_stay_to_the_bit(rule):
    model, before = net(), net().table.weight.detach()
    with table_gradients(model, rule):
        train(model, rule(model, lr=0.1, weight_decay=0.5), batches())
    after = model.table.weight.detach()
    torch.testing.assert_close(after[8:], before[8:], rtol=0, atol=0)
    assert (after[:8] != before[:8]).all()


@rules
def test_everything_else_moves_as_under_fused_adamw_with_its_decay_and_schedule(rule):
    """A table that never moves leaves the line the same gradients under both."""
    one, other = net(), net()
    one.table.weight.requires_grad_(False)
    other.table.weight.requires_grad_(False)
    decay = {"lr": 0.05, "weight_decay": 0.3}
    mine = rule(one, **decay)
    theirs = torch.optim.AdamW(other.line.parameters(), **decay, fused=True)
    for model, optimizer in ((one, mine), (other, theirs)):
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
        train(model, optimizer, batches(), schedule)
    for a, b in zip(one.line.parameters(), other.line.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@rules
def test_a_schedule_scales_the_rate_of_tables_too(rule):
    optimizer = rule(net(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 4)
    optimizer.step()
    schedule.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == pytest.approx([0.0075, 0.0075 * rule.rate])


@rules
def test_a_loaded_state_goes_on_as_if_nothing_had_been_interrupted(rule):
    straight, halved = net(), net()
    steps = list(batches())
    with table_gradients(straight, rule), table_gradients(halved, rule):
        train(straight, rule(straight, lr=0.01), steps)
        first = rule(halved, lr=0.01)
        train(halved, first, steps[:4])
        second = rule(halved, lr=0.5)  # the rate is part of the state
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        train(halved, second, steps[4:])
    for a, b in zip(straight.parameters(), halved.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_memory_is_a_number_or_two_a_row_and_no_more():
    model = net()
    for rule, numbers in ((RowWiseAdagrad(), ROWS), (RowWiseAdam(), 2 * ROWS)):
        optimizer = rule(model, lr=0.01)
        train(model, optimizer, batches(1))
        state = optimizer.state[model.table.weight]
        held = sum(x.numel() for x in state.values() if isinstance(x, torch.Tensor))
        assert held == numbers


def test_a_table_read_twice_in_a_step_adds_up_its_gradients():
    fast, slow = net(), net()
    rule = RowWiseAdam()
    first, second = torch.tensor([1, 1, 2]), torch.tensor([2, 3, 1])
    for model, optimizer in ((fast, rule(fast, lr=0.01)), (slow, rule(slow, lr=0.01))):
        with table_gradients(model, rule if model is fast else DenseAdam()):
            (model(first).sum() + model(second).square().sum()).backward()
        optimizer.step()
    torch.testing.assert_close(fast.table.weight, slow.table.weight, rtol=0, atol=1e-7)


def test_gradients_of_tables_are_dense_again_after_training_even_if_it_fails():
    model = net()

    def fail():
        with table_gradients(model, RowWiseAdam()):
            assert model.table.sparse
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not model.table.sparse
    with table_gradients(model, DenseAdam()):
        assert not model.table.sparse


def test_an_empty_batch_moves_no_row():
    model, before = net(), net().table.weight.detach()
    optimizer = RowWiseAdagrad()(model, lr=0.1)
    with table_gradients(model, RowWiseAdagrad()):
        model(torch.empty(0, dtype=torch.int64)).sum().backward()
    optimizer.step()
    torch.testing.assert_close(model.table.weight.detach(), before, rtol=0, atol=0)


def test_a_rate_must_be_positive():
    with pytest.raises(DataError, match="`rate` of RowWiseAdagrad must be above 0, found 0"):
        RowWiseAdagrad(rate=0.0)(net(), lr=0.1)


def test_a_table_spread_over_devices_is_refused_by_name():
    from torch.distributed import HashStore, destroy_process_group, init_process_group
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        model = net()
        mesh = init_device_mesh("cpu", (1,))
        spread = distribute_tensor(model.table.weight, mesh, [Shard(0)])
        model.table.weight = nn.Parameter(spread)
        with pytest.raises(CompositionError, match=r"DTensor.*fit\.DenseAdam"):
            RowWiseAdam()(model, lr=0.1)
    finally:
        destroy_process_group()


def test_dense_adam_decays_all_but_tables():
    model = net()
    groups = DenseAdam()(model, lr=0.1, weight_decay=0.2).param_groups
    assert [group["weight_decay"] for group in groups] == [0.2, 0.0]
    assert groups[1]["params"][0] is model.table.weight
    assert isinstance(RowWiseAdam()(model, lr=0.1), RowOptimizer)
    assert partial(DenseAdam())(model, lr=0.1).defaults["fused"]
