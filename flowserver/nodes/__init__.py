"""What a flow can do: one file a trigger, action or condition."""
