"""Parts that evaluators share."""
