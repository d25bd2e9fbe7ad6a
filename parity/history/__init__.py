"""Histories: the ordered events of a run, the only evidence a verdict may rest on."""
