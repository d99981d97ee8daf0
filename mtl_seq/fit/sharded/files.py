"""Saving and loading of sharded models, on any number of processes.

torch.distributed.checkpoint writes and reshards; the storage is safetensors, since its default one
is a pickle.
"""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor

from mtl_seq._files import check_folder, read_json, write_json
from mtl_seq.errors import ArtifactError
from mtl_seq.fit.sharded.tables import sharded

__all__ = ["load_sharded", "save_sharded"]

_KIND, _VERSION = "mtl_seq.sharded", 1
_MANIFEST = "sharded.json"
_MOMENTS = ("exp_avg", "exp_avg_sq")


def save_sharded(path: str | Path, network: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    """Write a network and its optimisers, every process its rows. All processes must call it.

    Args:
        path: The folder; an older one of this kind is replaced once the new one is whole.
        network: The network, or a model around it.
        optimizers: Adam or SparseAdam over its parameters; their moments and step counts are kept.

    Raises:
        ArtifactError: The folder holds something else, or an optimiser is of another kind.
    """
    path = Path(path)
    state = _state(network, optimizers)
    aside = path.with_name(f".{path.name}-unfinished")
    first = not dist.is_initialized() or dist.get_rank() == 0
    if first:
        _check(path)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    _wait()
    # A file is built in memory before it is written: each sharded tensor has a separate one.
    spread = [name for name, x in state.items() if isinstance(x, DTensor)]
    files = dict.fromkeys(state, 1) | {name: 2 + i for i, name in enumerate(spread)}
    writer = HuggingFaceStorageWriter(str(aside), files, save_distributed=True)
    with _alone():
        save(state, storage_writer=writer, no_dist=not dist.is_initialized())
    _wait()
    if first:
        content = {"tensors": {name: list(x.shape) for name, x in state.items()}}
        write_json(aside / _MANIFEST, content, kind=_KIND, version=_VERSION)
        old = path.with_name(f".{path.name}-old")
        if path.exists():
            path.replace(old)
        aside.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    _wait()


def load_sharded(path: str | Path, network: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    """Read what `save_sharded` wrote into a network that is whole or sharded in any way.

    All processes must call it. No code in the folder is run.

    Args:
        path: The folder.
        network: The same network; its tables may be sharded in another way, or not at all.
        optimizers: The optimisers to load too, in the order of saving; or none.

    Raises:
        ArtifactError: A folder that is incomplete, from a newer version, or of another network.
    """
    path = Path(path)
    content = read_json(path / _MANIFEST, kind=_KIND, version=_VERSION)
    state = _state(network, optimizers)
    for name, x in state.items():
        shape = content["tensors"].get(name)
        if shape != list(x.shape):
            raise ArtifactError(
                f"{path} must hold {name!r} of shape {list(x.shape)}, found {shape}: load it into "
                "the network it was saved from"
            )
    reader = HuggingFaceStorageReader(str(path))
    try:
        with _alone():
            load(state, storage_reader=reader, no_dist=not dist.is_initialized())
    except (CheckpointException, OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    _restore(network, optimizers, state)


def _state(network: nn.Module, optimizers: tuple[torch.optim.Optimizer, ...]) -> dict[str, Tensor]:
    """Every tensor by name; loading into them loads into the network and the optimisers."""
    spread = {f"{name}.weight": table for name, table in sharded(network)}
    state: dict[str, Tensor] = {}

    def add(name: str, kind: str, x: Tensor) -> None:
        state[f"{kind}.{name}"] = spread[name].whole(x) if name in spread else x.detach()

    for name, x in network.state_dict().items():
        add(name, "network", x)
    for name, moments in _moments(network, optimizers):
        for key in _MOMENTS:
            add(name, key, moments[key])
        state[f"step.{name}"] = torch.tensor([float(moments["step"])])
    return state


def _moments(
    network: nn.Module, optimizers: tuple[torch.optim.Optimizer, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """State of the optimisers by parameter, initialised where there was no step yet."""
    names = {parameter: name for name, parameter in network.named_parameters()}
    for optimizer in optimizers:
        if not isinstance(optimizer, _ADAMS):
            raise ArtifactError(
                f"optimisers must be Adam, AdamW or SparseAdam, found {type(optimizer).__name__}: "
                "leave it out"
            )
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                moments = optimizer.state[parameter]
                if not moments:
                    whole = isinstance(optimizer, torch.optim.SparseAdam)
                    moments["step"] = 0 if whole else torch.tensor(0.0)
                    moments.update({key: torch.zeros_like(parameter) for key in _MOMENTS})
                yield names[parameter], moments


def _restore(
    network: nn.Module,
    optimizers: tuple[torch.optim.Optimizer, ...],
    state: dict[str, Tensor],
) -> None:
    """Restore the step counts, which are no tensors that a load reaches."""
    for name, moments in _moments(network, optimizers):
        step = float(state[f"step.{name}"])
        if isinstance(moments["step"], Tensor):
            moments["step"].fill_(step)
        else:
            moments["step"] = int(step)


def _check(path: Path) -> None:
    files = [_MANIFEST]
    if (path / _MANIFEST).is_file():
        read_json(path / _MANIFEST, kind=_KIND, version=_VERSION)
        files += [file.name for file in path.glob("*.safetensors")]
    check_folder(path, files)


@contextmanager
def _alone() -> Iterator[None]:
    """Silence the warning that there is only one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _wait() -> None:
    if dist.is_initialized():
        dist.barrier()


_ADAMS = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SparseAdam)
