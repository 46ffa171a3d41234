"""From a PyTorch network to a search space."""
