"""Spread tables equal whole ones: gradients, steps, and files on another number of processes.

Two processes are started once; what they found is compared with a single process here.
"""

import json
import pickle
import socket
from functools import partial

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh

from mtl_seq import nn as parts
from mtl_seq.errors import ArtifactError, CompositionError
from mtl_seq.fit.sharded.files import load_sharded, save_sharded
from mtl_seq.fit.sharded.tables import (
    ShardedTable,
    average_gradients,
    shard_tables,
    sharded,
    sharded_optimizers,
)
from mtl_seq.models import esmm
from mtl_seq.records import FunnelLabels
from mtl_seq.schema import FeatureSpec

PROCESSES, ROWS, STEPS = 2, 8, 3
SPEC = FeatureSpec(
    ids={"user_id": 7, "item_id": 6, "position": 4},
    bags={"tags": 5},
    dense=["price"],
    hidden_from={"conversion": ["position"]},
    embedding={"user_id": 4, "item_id": 4, "position": 2, "tags": 4},
    wide=["user_id"],
)


def model_of():
    return esmm(SPEC, bottom=partial(parts.MMoE, experts=2, hidden=(8,)), seed=0)


def batch(step):
    draw = torch.Generator().manual_seed(step)

    def ids(high, *shape):
        return torch.randint(0, high, shape or (ROWS,), generator=draw)

    click = ids(2)
    features = {
        "user_id": ids(7),
        "item_id": ids(6),
        "position": ids(4),
        "tags": ids(6, ROWS, 3) - 1,
        "price": torch.randn(ROWS, generator=draw),
    }
    return features, FunnelLabels.of(click=click, conversion=click * ids(2))


def backward(model, features, labels):
    losses = model.objective(model(features), labels)
    torch.stack(list(losses.values())).sum().backward()


def share(rank, features, labels):
    """The rows of one process."""
    own = slice(rank * ROWS // PROCESSES, (rank + 1) * ROWS // PROCESSES)
    return {n: x[own] for n, x in features.items()}, FunnelLabels(labels.stages[own])


def full(model):
    """Every parameter and gradient, whole."""
    spread = {f"{name}.weight": table for name, table in sharded(model)}
    found = {}
    for name, x in model.named_parameters():
        for kind, y in (("weight", x), ("gradient", x.grad)):
            if y is not None:
                y = y.detach().to_dense() if y.is_sparse else y.detach()
                found[f"{kind} {name}"] = (
                    spread[name].whole(y).full_tensor() if name in spread else y.clone()
                )
    return found


def table_gradient(table, index, coefficients):
    (table(index) * coefficients).mean().backward()
    return table.weight.grad


def index_of(rows):
    return torch.randint(0, 11, (rows, 3), generator=torch.Generator().manual_seed(1))


def work(rank, folder, port):
    torch.set_num_threads(1)
    place = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    found = {}

    torch.manual_seed(0)
    whole = torch.nn.Embedding(11, 4)
    table = ShardedTable(whole, mesh)
    assert tuple(table.weight.shape) == ((6, 4), (5, 4))[rank]
    index, coefficients = index_of(ROWS), torch.randn(ROWS, 3, 4, generator=seeded(2))
    own = slice(rank * 4, rank * 4 + 4)
    gradient = table_gradient(table, index[own], coefficients[own])
    found["touched rows"] = gradient._nnz()
    found["table"] = table.whole(gradient.to_dense()).full_tensor()
    table.weight.grad = None
    # Uneven ends: the second process has no row left, and takes part all the same.
    own = slice(0, ROWS) if rank == 0 else slice(0, 0)
    (table(index[own]) * coefficients[own]).sum().backward()
    found["uneven"] = table.whole(table.weight.grad.to_dense()).full_tensor()

    model = model_of()
    found["names"] = shard_tables(model, mesh)
    optimizers = sharded_optimizers(model, lr=0.01, weight_decay=0.1)
    for step in range(STEPS):
        for optimizer in optimizers:
            optimizer.zero_grad()
        backward(model, *share(rank, *batch(step)))
        average_gradients(model, mesh)
        if step == 0:
            found["gradients"] = full(model)
        for optimizer in optimizers:
            optimizer.step()
    save_sharded(f"{folder}/two", model, *optimizers)
    found["trained"] = full(model)

    # What one process saved, on two.
    other = model_of()
    shard_tables(other, mesh)
    again = sharded_optimizers(other, lr=0.01, weight_decay=0.1)
    load_sharded(f"{folder}/one", other, *again)
    found["loaded"] = full(other)
    backward(other, *share(rank, *batch(STEPS)))
    average_gradients(other, mesh)
    for optimizer in again:
        optimizer.step()
    found["went on"] = full(other)
    if rank == 0:
        torch.save(found, f"{folder}/found.pt")
    dist.barrier()
    dist.destroy_process_group()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def single():
    """One process: whole tables, sparse gradients, the same optimisers."""
    model = model_of()
    tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    for table in tables:
        table.sparse = True
    weights = {id(table.weight) for table in tables}
    rest = [p for p in model.parameters() if id(p) not in weights]
    optimizers = (
        torch.optim.AdamW(rest, lr=0.01, weight_decay=0.1, fused=True),
        torch.optim.SparseAdam([table.weight for table in tables], lr=0.01),
    )
    return model, optimizers


def train(model, optimizers, steps):
    for step in steps:
        for optimizer in optimizers:
            optimizer.zero_grad()
        backward(model, *batch(step))
        for optimizer in optimizers:
            optimizer.step()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharding")
    model, optimizers = single()
    train(model, optimizers, range(STEPS))
    save_sharded(folder / "one", model, *optimizers)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(work, (str(folder), port), nprocs=PROCESSES)
    return {"folder": folder, **torch.load(folder / "found.pt", weights_only=True)}


def close(found, expected, *, kinds=("weight", "gradient")):
    compared = [name for name in expected if name.split()[0] in kinds]
    assert compared
    for name in compared:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-6, msg=name)


def test_the_gradient_of_a_table_is_exactly_that_of_one_process(found):
    torch.manual_seed(0)
    table = torch.nn.Embedding(11, 4)
    index, coefficients = index_of(ROWS), torch.randn(ROWS, 3, 4, generator=seeded(2))
    assert torch.equal(found["table"], table_gradient(table, index, coefficients))
    # The first process keeps rows 0 to 5, and holds a gradient of those that were looked up.
    assert found["touched rows"] == len({int(i) for i in index.flatten() if i < 6})


def test_a_process_without_rows_takes_part(found):
    torch.manual_seed(0)
    table = torch.nn.Embedding(11, 4)
    index, coefficients = index_of(ROWS), torch.randn(ROWS, 3, 4, generator=seeded(2))
    (table(index) * coefficients).sum().backward()
    # A mean over two processes, one of which has nothing to add.
    assert torch.equal(found["uneven"], table.weight.grad / 2)


def test_gradients_of_a_model_equal_those_of_one_process(found):
    model, _ = single()
    backward(model, *batch(0))
    assert set(found["names"]) == {
        "network.embedding.lookup.tables.2.weight",
        "network.embedding.lookup.tables.4.weight",
        "network.wide.table.weight",
    }
    expected = full(model)
    # No loss reaches the linear term of dense features that are not there.
    unreached = found["gradients"].pop("gradient network.wide.weight")
    assert not unreached.any()
    assert set(found["gradients"]) == set(expected)
    close(found["gradients"], expected)


def test_steps_equal_those_of_one_process(found):
    model, optimizers = single()
    train(model, optimizers, range(STEPS))
    close(found["trained"], full(model), kinds=("weight",))


def test_saved_by_two_loaded_whole_by_one_which_goes_on(found):
    model, optimizers = single()
    load_sharded(found["folder"] / "two", model, *optimizers)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, found["trained"][f"weight {name}"])
    train(model, optimizers, [STEPS])
    reference, others = single()
    train(reference, others, range(STEPS + 1))
    close(full(model), full(reference), kinds=("weight",))


def test_saved_by_one_loaded_by_two_which_go_on(found):
    model, optimizers = single()
    train(model, optimizers, range(STEPS))
    for name, weight in model.named_parameters():
        assert torch.equal(found["loaded"][f"weight {name}"], weight)
    train(model, optimizers, [STEPS])
    close(found["went on"], full(model), kinds=("weight",))


def test_nothing_in_the_folder_is_a_pickle(found):
    for folder in ("one", "two"):
        names = sorted(path.name for path in (found["folder"] / folder).iterdir())
        assert names[-1] == "sharded.json"
        assert all(name.endswith(".safetensors") for name in names[:-1])
    # A file for each process's part of each spread tensor, and for all that is not spread.
    spread = 3 * len(found["names"])
    assert PROCESSES * spread < len(names) <= 1 + PROCESSES * (1 + spread)


def test_a_folder_that_does_not_fit_or_is_torn_says_so(found, tmp_path):
    stored = found["folder"] / "two"
    other = esmm(SPEC, bottom=partial(parts.MMoE, experts=2, hidden=(9,)), seed=0)
    with pytest.raises(ArtifactError, match=r"must hold 'network\..* found \["):
        load_sharded(stored, other)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in stored.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    content = json.loads((copy / "sharded.json").read_text())
    (copy / "sharded.json").write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(ArtifactError, match="has format 2"):
        load_sharded(copy, model_of())
    (copy / "sharded.json").write_text(json.dumps(content))
    part = next(copy.glob("*.safetensors"))
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_sharded(copy, model_of())
    part.write_bytes(pickle.dumps({}))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_sharded(copy, model_of())


def test_an_older_checkpoint_is_replaced_and_nothing_else_is(found, tmp_path):
    model = model_of()
    save_sharded(tmp_path / "kept", model)
    save_sharded(tmp_path / "kept", model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    (tmp_path / "kept" / "notes.txt").touch()
    with pytest.raises(ArtifactError, match=r"notes\.txt, which would be lost"):
        save_sharded(tmp_path / "kept", model)
    with pytest.raises(ArtifactError, match="found SGD"):
        save_sharded(tmp_path / "x", model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_a_network_without_tables_is_refused():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        with pytest.raises(CompositionError, match="must have an embedding table"):
            shard_tables(torch.nn.Linear(2, 2), mesh)
    finally:
        dist.destroy_process_group()
