"""Commands, one file each: HELP and EXAMPLE, `configure(parser)` for its flags, `run(arguments) -> exit code`.

They import what is heavy inside `run`, so that help answers at once.
"""
