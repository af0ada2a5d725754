"""What runs the product: the supervisor of ``flowserver up``, web, workers, clock and the local stand-ins."""
