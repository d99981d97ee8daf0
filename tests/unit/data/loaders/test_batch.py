"""A pass over the rows gives each once, and dropout touches ids alone."""

import math

import pytest
import torch

from mtl_seq import FunnelBatch, FunnelLabels
from mtl_seq.data import BatchLoader

ROWS = 103


def rows(n=ROWS):
    """Every column tells which row it belongs to; no id is 0."""
    at = torch.arange(n)
    features = {
        "user": at + 1,
        "price": at.float() / 8,
        "item": 2 * at + 1,
        "words": torch.stack((at, at - 1), dim=1),
        "age": -at.float(),
    }
    return FunnelBatch(
        features, FunnelLabels(torch.stack((at % 2, at % 4), dim=1).float(), weight=at.float())
    )


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def order(loader):
    return torch.cat([batch.features["price"] * 8 for batch in loader]).long().tolist()


def same_rows(batch, source, dropped=()):
    """The batch is what the source holds at the rows its labels name."""
    at = batch.labels.weight.long()
    assert set(batch.features) == set(source.features)
    for name, x in batch.features.items():
        assert x.dtype == source.features[name].dtype
        if name not in dropped:
            assert torch.equal(x, source.features[name][at])
    assert torch.equal(batch.labels.stages, source.labels.stages[at])
    return at.tolist()


@pytest.mark.parametrize("batch_size", [1, 10, 103, 1000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_row_comes_exactly_once_a_pass_with_all_its_columns(batch_size, shuffled):
    source = rows()
    loader = BatchLoader(source, batch_size, generator=seeded() if shuffled else None)
    for _ in range(2):
        seen = [row for batch in loader for row in same_rows(batch, source)]
        assert sorted(seen) == list(range(ROWS))


def test_without_a_generator_the_order_is_kept():
    assert order(BatchLoader(rows(), 10)) == list(range(ROWS))


def test_the_last_batch_holds_the_rest():
    loader = BatchLoader(rows(), 10, generator=seeded())
    assert [len(batch.features["user"]) for batch in loader] == [10] * 10 + [3]
    assert len(loader) == 11
    assert len(BatchLoader(rows(100), 10)) == 10
    assert len(BatchLoader(rows(), 1000)) == 1


def test_one_seed_gives_one_order_and_passes_differ():
    one, other = (BatchLoader(rows(), 10, generator=seeded(3)) for _ in range(2))
    first, second = order(one), order(one)
    assert (first, second) == (order(other), order(other))
    assert first != second
    assert first != order(BatchLoader(rows(), 10, generator=seeded(4)))


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    list(BatchLoader(rows(), 10, generator=seeded(), id_dropout=0.3))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_dropout_puts_its_share_of_ids_to_0_and_spares_dense_and_labels(share):
    n = 20_000
    source = rows(n)
    zeros = {"user": 0, "item": 0}
    both = 0
    for batch in BatchLoader(source, 256, generator=seeded(), id_dropout=share):
        at = torch.tensor(same_rows(batch, source, dropped=(*zeros, "words")))
        gone = {name: batch.features[name] == 0 for name in zeros}
        for name, mask in gone.items():
            assert torch.equal(batch.features[name][~mask], source.features[name][at][~mask])
            zeros[name] += int(mask.sum())
        both += int((gone["user"] & gone["item"]).sum())
    for count in zeros.values():
        assert abs(count - n * share) <= 5 * math.sqrt(n * share * (1 - share))
    # Columns are dropped independently of one another.
    assert abs(both - n * share**2) <= 5 * math.sqrt(n * share**2 * (1 - share**2))


def test_the_rows_given_are_not_changed():
    source = rows()
    list(BatchLoader(source, 10, generator=seeded(), id_dropout=0.5))
    assert all(torch.equal(x, source.features[name]) for name, x in rows().features.items())
    assert torch.equal(source.labels.stages, rows().labels.stages)


def test_rows_without_labels_give_batches_without_labels():
    loader = BatchLoader(FunnelBatch(rows().features), 10, generator=seeded())
    assert all(batch.labels is None for batch in loader)
    assert sorted(order(loader)) == list(range(ROWS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1, found 0"),
        ({"batch_size": 5, "id_dropout": 1.0}, r"`id_dropout` must lie in \[0, 1\), found 1\.0"),
        ({"batch_size": 5, "id_dropout": -0.1}, r"`id_dropout` must lie in \[0, 1\), found -0\.1"),
        ({"batch_size": 5, "id_dropout": 0.1}, "`id_dropout` needs a `generator`"),
    ],
)
def test_settings_out_of_range_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        BatchLoader(rows(), **settings)


@pytest.mark.parametrize("done", [0, 1, 7, 11])
def test_a_pass_goes_on_in_another_loader_as_it_would_have(done):
    whole = BatchLoader(rows(), 10, generator=seeded(3), id_dropout=0.3)
    expected = [list(whole), list(whole)]
    left = BatchLoader(rows(), 10, generator=seeded(3), id_dropout=0.3)
    batches = iter(left)
    for _ in range(done):
        next(batches)
    other = BatchLoader(rows(), 10, generator=seeded(9), id_dropout=0.3)
    other.load_state_dict(left.state_dict())
    # A pass that was over is followed by the next one.
    found = [*other, *other] if done < 11 else list(other)
    wanted = [*expected[0][done:], *expected[1]]
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        assert all(torch.equal(x, two.features[name]) for name, x in one.features.items())
        assert torch.equal(one.labels.stages, two.labels.stages)


@pytest.mark.parametrize("processes", [2, 3, 7])
@pytest.mark.parametrize("batch_size", [1, 10, 64])
def test_slices_of_several_processes_are_the_batches_of_one(processes, batch_size):
    def loader(**place):
        return BatchLoader(rows(), batch_size, generator=seeded(3), id_dropout=0.3, **place)

    parts = [loader(rank=rank, world_size=processes) for rank in range(processes)]
    for batch, *slices in zip(loader(), *parts, strict=True):
        for name, x in batch.features.items():
            assert torch.equal(torch.cat([part.features[name] for part in slices]), x)
        assert torch.equal(torch.cat([part.labels.stages for part in slices]), batch.labels.stages)
        sizes = [len(part.labels.stages) for part in slices]
        assert max(sizes) - min(sizes) <= 1


def test_a_rank_must_be_one_of_the_processes():
    with pytest.raises(ValueError, match=r"`rank` must lie in 0\.\.1, found 2"):
        BatchLoader(rows(), 10, rank=2, world_size=2)
