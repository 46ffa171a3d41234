"""edgenas."""
