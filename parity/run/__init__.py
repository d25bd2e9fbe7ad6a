"""Runs: one scenario on one runtime, recorded, judged, and written down."""
