"""Parts of the gradient strategies."""
