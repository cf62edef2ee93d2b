"""One training on all GPUs of a machine, on its only one, or on its processors.

With several GPUs this process starts one for each (torch's DistributedDataParallel),
hears from the first of them how far they are, and ends them all if whoever is told
wants no more. What they refuse (ValueError) is raised here in their words. The
checkpoint is written by the first, and is the same whatever the number: a training
may be taken up again by another.
"""

import os
import threading
from collections.abc import Mapping
from functools import partial
from multiprocessing import parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, multiprocessing

from search import train
from search.checkpoint import CHECKPOINT
from search.group import Group, member
from search.precision import replayable
from search.train import Material, Tell
from search.trainee import Plan, Progress, Teacher, Trainee

LISTEN = 0.2  # seconds until the members are looked after again


def fit(
    plan: Plan,
    material: Material,
    folder: Path,
    teacher: Teacher | None = None,
    start: Mapping[str, Tensor] | None = None,
    tell: Tell = lambda history, done: None,
    members: int | None = None,
) -> Progress:
    """As `search.train.fit`. members: processes; as many as there are GPUs, or one;
    never more than the smallest batch has samples."""
    members = members or max(torch.cuda.device_count(), 1)
    if members > 1:
        members = min(members, material.smallest_batch(plan))
    if members == 1:
        cuda = torch.cuda.is_available()
        alone = Group(device=torch.device("cuda" if cuda else "cpu"))
        with replayable(alone.device):
            return train.fit(plan, material, folder, teacher, start, tell, alone)
    work = partial(train.fit, plan, material, folder, teacher, start)
    with TemporaryDirectory() as meeting:
        _run(work, members, Path(meeting) / "meeting", tell)
    return Trainee(plan).resume(folder / CHECKPOINT)


def _run(work: partial, members: int, meeting: Path, tell: Tell) -> None:
    heard = multiprocessing.get_context("spawn").SimpleQueue()
    group = multiprocessing.start_processes(
        _learn, (members, meeting, heard, work), members, join=False
    )
    try:
        # A member that fails ends the others, and its error is raised here.
        while not group.join(LISTEN):
            _pass_on(heard, tell)
        _pass_on(heard, tell)
    except multiprocessing.ProcessRaisedException:
        _pass_on(heard, tell)
        raise
    finally:
        for process in group.processes:
            process.kill()
            process.join()


def _pass_on(heard: SimpleQueue, tell: Tell) -> None:
    while not heard.empty():
        said = heard.get()
        if isinstance(said, ValueError):
            raise said
        tell(*said)


def _learn(
    rank: int, members: int, meeting: Path, heard: SimpleQueue, work: partial
) -> None:
    """What a member does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(*told: object) -> None:
        if rank == 0:
            heard.put(told)

    with member(rank, members, meeting) as group:
        try:
            work(tell, group)
        except ValueError as error:
            heard.put(error)
            raise
    # Gloo's threads outlive their group (torch 2.13), and one that lets go of a tensor
    # while Python finalizes aborts a process whose work is done.
    os._exit(0)


def _end_with_parent() -> None:
    """A killed training leaves nobody behind who goes on writing."""
    parent_process().join()
    os._exit(1)
