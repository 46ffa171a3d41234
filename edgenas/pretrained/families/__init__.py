"""Networks that plugin files share: their modules, written here."""
