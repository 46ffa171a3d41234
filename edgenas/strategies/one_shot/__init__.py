"""Parts of strategies that train shared weights."""
