"""Checks: properties over histories, and nothing but histories."""
