"""What the API takes and shows, one file per resource."""
