"""Data sources, one file each; `edgenas list data` shows their names.

A source is a module with one function, `build`, that returns a `Data` of three splits. It is called by name, with

    root              folder or file to read, or None for the source's usual places
    seed              of the splits that the source draws itself
    image_size        side in pixels that images are resized to where files have any size, or None for the usual one
    validation_share  share of the training images that is kept for choosing
    download          whether files may be fetched from the network
    strict            whether one unreadable image is an error
    device            where batches are delivered, `cpu` or `cuda`

A source of photographs may also take `photos`, the `PhotoOptions` of storage/options.py: how they become squares,
whether they are mirrored, where decoded ones are kept, and who is told. What it decides it says in `Data.notices`.
"""
