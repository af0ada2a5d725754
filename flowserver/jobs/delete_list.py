"""Delete a large list, chunk by chunk."""

from flowserver.services.people import lists


def delete_list(list_id: int) -> None:
    """Carry the deletion of a list to its end."""
    lists.finish_deleting(list_id)
