"""Functions RQ calls: ids in, one service call, nothing else. Each file holds the function of its name."""

from flowserver.registry import modules


def __getattr__(name: str):
    """``flowserver.jobs.advance`` is the function ``advance`` of ``jobs/advance.py``."""
    for module in modules(__name__):
        if module.__name__ == f"{__name__}.{name}" and hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(name)
