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


class Awaited:
    """An object whose async methods are called by the names of the sync ones."""

    def __init__(self, obj):
        self.obj = obj

    def __getattr__(self, name):
        return async_to_sync(getattr(self.obj, f"a{name}"))
