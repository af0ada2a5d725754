"""Read an uploaded CSV file into the address book."""

from flowserver.services.people import imports


def import_contacts(import_id: int) -> None:
    """Read this import to its end, or go on where the last job stopped."""
    imports.run(import_id)
