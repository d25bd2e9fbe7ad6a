"""Stacks in containers: images, compose files, brokers, databases, workers, and what breaks them."""
