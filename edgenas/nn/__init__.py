"""Networks in PyTorch: one layer per op, networks of one architecture, supernets, and mixtures of their paths."""
