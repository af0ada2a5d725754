"""Carrying contacts through flows: events, entering, advancing, the clock."""
