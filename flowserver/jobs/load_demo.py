"""Load the demo data that somebody asked for on the first-run page."""

from flowserver.errors import Conflict
from flowserver.services.operations import demo


def load_demo() -> None:
    """Load them; a second ring finds them there."""
    try:
        demo.load()
    except Conflict:
        return
