"""Keeping the installation well: schema, health, doctor, demo data, requests done once."""
