"""Loyalty: programmes and their rewards, cards, the ledger of points, what is given and collected."""
