"""The page of a loyalty card, for the one who has it."""
