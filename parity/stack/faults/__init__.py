"""Faults: each a step of a scenario, applied by a context manager whose end heals it."""
