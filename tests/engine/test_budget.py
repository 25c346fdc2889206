"""Who may start."""

import asyncio

from spinalprep.engine.budget import Budget


def test_sums_stay_below_the_limits():
    async def scene():
        budget, running, peak = Budget(4, 8.0), [0, 0.0], [0, 0.0]

        async def task(cpus, mem_gb):
            share = await budget.take(cpus, mem_gb)
            running[0] += share.cpus
            running[1] += share.mem_gb
            peak[:] = max(peak[0], running[0]), max(peak[1], running[1])
            await asyncio.sleep(0.001)
            running[0] -= share.cpus
            running[1] -= share.mem_gb
            budget.give(share)

        await asyncio.gather(*(task(1 + i % 6, 1.0 + i % 5) for i in range(40)))
        return peak

    cpus, mem_gb = asyncio.run(scene())
    assert 2 <= cpus <= 4
    assert 4 <= mem_gb <= 8


def test_small_tasks_do_not_overtake_a_large_one():
    async def scene():
        budget, order = Budget(2, 2.0), []

        async def task(name, cpus):
            share = await budget.take(cpus, 0.1)
            order.append(name)
            await asyncio.sleep(0.001)
            budget.give(share)

        await asyncio.gather(task("a", 1), task("large", 9), task("b", 1), task("c", 1))
        return order

    assert asyncio.run(scene()) == ["a", "large", "b", "c"]


def test_one_who_gives_up_waiting_leaves_nothing_taken():
    async def scene():
        budget = Budget(1, 1.0)
        share = await budget.take(1, 1.0)
        waiting = asyncio.create_task(budget.take(1, 1.0))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        budget.give(share)
        return await asyncio.wait_for(budget.take_all(), 1)

    assert asyncio.run(scene()).cpus == 1
