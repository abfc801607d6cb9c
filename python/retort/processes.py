"""The processes of a torch.distributed job, which share the work of a call."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import socket
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist

_alone = contextvars.ContextVar("retort_alone", default=False)
_made = None  # the group of the job, and the one of torch.distributed that it was made for


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Calls within are this process's own, where others of its torch.distributed job do not make them.

    Where torch.distributed is initialised, every call of `distill`, `evaluate`, `experts` and the like is made by all
    processes, with the same arguments; they share its work and get the same answer.
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def current() -> _Group | None:
    """The processes that make a call together; None where this one is by itself. The first call is one of all."""
    global _made
    if _alone.get() or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return None
    if _made is None or _made[1] is not dist.group.WORLD:
        _made = _Group(), dist.group.WORLD
    return _made[0]


class _Group:
    """What C++ calls (python/src/process_group.h); tensors of bytes on the host, over gloo."""

    def __init__(self):
        # Of its own, whatever the job computes with; a process may work for days before the next call.
        self._group = dist.new_group(backend="gloo", timeout=timedelta(days=365))
        self.rank, self.size = dist.get_rank(self._group), dist.get_world_size(self._group)
        machine = int.from_bytes(hashlib.sha256(socket.gethostname().encode()).digest()[:7], "big")
        machines = [one.item() for one in self._all(torch.tensor([machine], dtype=torch.int64))]
        self.local_rank, self.local_size = machines[:self.rank].count(machine), machines.count(machine)

    def _all(self, mine, seconds=None):
        every = [torch.empty_like(mine) for _ in range(self.size)]
        work = dist.all_gather(every, mine, group=self._group, async_op=True)
        if seconds is None:
            work.wait()
        else:
            work.wait(timedelta(seconds=max(seconds, 0.1)))
        return every

    def meet(self, status, size, seconds):
        """(status, size) of every process; None where they do not come within `seconds`."""
        try:
            every = self._all(torch.tensor([status, size], dtype=torch.int64), seconds)
        except RuntimeError:
            if seconds is None:
                raise
            return None
        return [tuple(one.tolist()) for one in every]

    def exchange(self, mine, sizes):
        """The bytes of every process, which are `sizes` many."""
        if len(set(sizes)) == 1:
            return self._all(mine)
        every = [mine if rank == self.rank else torch.empty(size, dtype=torch.uint8)
                 for rank, size in enumerate(sizes)]
        for rank, bytes in enumerate(every):
            if len(bytes) > 0:
                dist.broadcast(bytes, rank, group=self._group)
        return every

    def exchange_parts(self, parts):
        """What every process has for this one; `parts[r]` is for process r."""
        given = torch.tensor([len(part) for part in parts], dtype=torch.int64)
        taken = torch.empty_like(given)
        dist.all_to_all_single(taken, given, group=self._group)
        every = torch.empty(int(taken.sum()), dtype=torch.uint8)
        dist.all_to_all_single(every, torch.cat(parts), taken.tolist(), given.tolist(), group=self._group)
        return list(every.split(taken.tolist()))
