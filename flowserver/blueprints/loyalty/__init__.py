"""Loyalty in the console: programmes and rewards, cards and their ledgers."""
