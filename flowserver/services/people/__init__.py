"""Contacts and what is known about them: how they come in, are found, change and go."""
