"""The processes that train one network together, one a GPU, and what they share.

Each learns from its part of every batch; torch's DistributedDataParallel averages
their gradients, so that together they do what one process does with the whole batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from search.precision import replayable

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Group:
    """The group as its member `rank` of `size` sees it."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default=CPU)

    @property
    def first(self) -> bool:
        """Who alone writes and tells."""
        return self.rank == 0

    @property
    def part(self) -> slice:
        """Which of a batch this member learns from."""
        return slice(self.rank, None, self.size)

    def placed(self, network: nn.Module) -> nn.Module:
        """`network` where this member computes, as fast as it may lie there.

        Batch norms see a part of a batch, and on GPUs (torch can do it nowhere else)
        ask the others for theirs; on CPUs a network that has them learns otherwise
        in a group than alone.
        """
        if self.size > 1 and self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network.to(self.device, memory_format=torch.channels_last)

    def joined(self, learning: nn.Module, *, partly: bool) -> nn.Module:
        """`learning`, with gradients averaged over the group. partly: a step may
        leave some parameters out."""
        if self.size == 1:
            return learning
        return DistributedDataParallel(learning, find_unused_parameters=partly)

    def mean(self, value: float) -> float:
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.item() / self.size

    def agreed(self, found: dict[str, float]) -> dict[str, float]:
        """What the first member found: rounding must not make them part."""
        if self.size == 1:
            return found
        box = [found]
        distributed.broadcast_object_list(box, 0, device=self.device)
        return box[0]


ALONE = Group()


@contextmanager
def member(rank: int, size: int, meeting: Path) -> Iterator[Group]:
    """Join a group of this machine. meeting: a file that no other group uses."""
    cuda = torch.cuda.device_count() >= size
    device = torch.device("cuda", rank) if cuda else CPU
    if cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=meeting.resolve().as_uri(),
        rank=rank,
        world_size=size,
    )
    try:
        with replayable(device):
            yield Group(rank, size, device)
    finally:
        distributed.destroy_process_group()
