"""Functions RQ calls: ids in, one service call, nothing else. Each file holds the function of its name."""
