"""The functions of the public API: objects in, objects out, one function for each command."""
