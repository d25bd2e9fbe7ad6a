"""The AWS API over the model of a region: its clock, its state on disk, and the wire.

`controller` owns the region; `fleet` is what it asks of the world. Only `server` and what it imports need the extra
`aws`.
"""
