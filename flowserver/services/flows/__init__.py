"""Making flows: drafts, checks, versions, numbers."""
