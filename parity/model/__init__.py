"""Models: what queues, workers, producers and databases do, with no I/O, no clock and no chance of their own.

Time comes in as an argument, chance as draws, and effects go out as events.
"""
