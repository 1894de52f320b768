"""What the keys of an architecture file are made of, and those that datapaths read."""
