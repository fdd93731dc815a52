"""Sync code and its async twin, in one test."""

from asgiref.sync import async_to_sync, sync_to_async


def inside(context, block):
    """Run a function inside a context manager, sync or async; return what it returns.

    The function gets what the context manager yields.
    """
    if not hasattr(context, "__aenter__"):
        with context as value:
            return block(value)

    async def work():
        async with context as value:
            return await sync_to_async(block)(value)

    return async_to_sync(work)()
