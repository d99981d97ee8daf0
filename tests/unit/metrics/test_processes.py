"""Two processes that exchange over gloo give what one gives."""

from datetime import timedelta

import pytest
import torch
from torch import distributed, multiprocessing
from unit.metrics.batches import CASES, columns, fed, numbers, part

from mtl_seq.metrics.exact_or_binned import KeptRows

SPLITS = {"uneven": (slice(0, 250), slice(250, None)), "no rows": (slice(0, None), slice(0, 0))}


def measure(process, folder, split):
    """What each process finds of every metric, having seen its own rows alone."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    distributed.init_process_group(
        "gloo", init_method=store, rank=process, world_size=2, timeout=timedelta(seconds=60)
    )
    batch = part(columns(), SPLITS[split][process])
    found = {}
    for name, case in CASES.items():
        metric = fed(case.make(), case.columns, batch)
        found[name] = [numbers(metric.compute()), metric.reason]
        fed(metric, case.columns, batch)  # what came before is still there, once
        found[name].append(numbers(metric.compute()))
    torch.save(found, f"{folder}/{process}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module", params=SPLITS)
def found(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(measure, args=(str(folder), request.param), nprocs=2)
    return [torch.load(folder / f"{process}.pt") for process in range(2)]


def alone(name, times):
    """One process that reads bins, as several processes do."""
    metric = CASES[name].make()
    if isinstance(metric, KeptRows):
        metric.exact_rows = 0
    return numbers(fed(metric, CASES[name].columns, *[columns()] * times).compute())


@pytest.mark.parametrize("name", CASES)
def test_every_process_finds_what_one_process_finds(found, name):
    once, twice = alone(name, 1), alone(name, 2)
    for process in found:
        value, reason, again = process[name]
        assert reason is None
        assert torch.isfinite(value).all()
        torch.testing.assert_close(value, once, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(again, twice, rtol=1e-10, atol=1e-12)
