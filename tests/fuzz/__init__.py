"""Malformed inputs for the command line, made out of sound ones by a seed: `python -m tests.fuzz --help`.

samples     one sound example of each kind of input, as small as it can be
hostile     values that stand in place of others
files       changes of any file: bytes, lines, values of JSON, CSV and TOML
archives    changes of zips and of .npz files
kits        changes of kits, and of results of a board
pictures    changes of folders of images
models      changes of ONNX files
runs        changes of run folders and checkpoints
flags       changes of command lines
cases       commands, and the changes of what they read
running     one command, in this process or in a child, watched
watching    the time that it takes, and what it changes
oracle      what is wrong with what it did
campaign    cases one after another, counted, and the report
"""
