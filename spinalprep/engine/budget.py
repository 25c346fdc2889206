"""Who may start: CPUs and memory, first come, first served."""

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """CPUs and GiB granted to one task."""

    cpus: int
    mem_gb: float


class Budget:
    """Keep the sum of what running tasks need below the limits of the run.

    The queue is strict: a large task is not overtaken for ever by small ones.
    A task that needs more than everything gets everything.
    """

    def __init__(self, cpus: int, mem_gb: float) -> None:
        self.total = Share(max(1, cpus), mem_gb)
        self._free = [float(self.total.cpus), mem_gb]
        self._queue: deque[tuple[Share, asyncio.Future[None]]] = deque()

    async def take(self, cpus: int, mem_gb: float) -> Share:
        """Wait until a share is free, and take it."""
        share = Share(min(cpus, self.total.cpus), min(mem_gb, self.total.mem_gb))
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((share, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(share)
            raise
        return share

    async def take_all(self) -> Share:
        """Wait until nothing else runs, and take everything."""
        return await self.take(self.total.cpus, self.total.mem_gb)

    def give(self, share: Share) -> None:
        """Hand a share back."""
        self._free[0] += share.cpus
        self._free[1] += share.mem_gb
        self._admit()

    def _admit(self) -> None:
        """Let in those at the head of the queue that fit."""
        while self._queue:
            share, turn = self._queue[0]
            if turn.cancelled():
                self._queue.popleft()
                continue
            if self._free[0] < share.cpus or self._free[1] < share.mem_gb - 1e-9:
                return
            self._queue.popleft()
            self._free[0] -= share.cpus
            self._free[1] -= share.mem_gb
            turn.set_result(None)
