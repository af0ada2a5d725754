"""What follows from an event beside the flows that listen: one file each, found by walking this folder.

A file has ``LISTENS_TO``, a frozenset of event types, and ``react(events, now)``, which runs in the transaction that
wrote the events, with their contacts locked, and may record more of them. It works on all events at once and never
commits.
"""
