"""Plain Python: no framework, no I/O. Values in, values out."""
