"""A local double of a job-queue stack, and the checker that says how far it can be trusted."""

__version__ = "0.1.0"
