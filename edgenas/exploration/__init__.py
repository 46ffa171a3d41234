"""What a search is: problem, objective, strategy, study, and the loop that joins them."""
