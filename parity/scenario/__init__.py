"""Scenarios as data: what to submit, what to break and when, and what must hold."""
