"""What a shop gives its customers, and what happens at the till."""
