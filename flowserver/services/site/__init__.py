"""Sites of a client: the script on them, who visits what, and what counts as a conversion."""
