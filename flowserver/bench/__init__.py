"""`flowserver bench`: the real product beside its baseline, in the same run. Speeds are ratios, never promises."""
