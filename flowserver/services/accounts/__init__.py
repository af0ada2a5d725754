"""The agency, its clients, its people, and the keys of programs."""
