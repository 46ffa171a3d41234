"""Where the pixels of data sets are kept."""
