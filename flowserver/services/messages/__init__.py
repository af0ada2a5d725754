"""Messages on their way out, and what comes back."""
