"""EC2 Auto Scaling and what it leans on, as a pure model of one account in one region.

`Region` takes calls of the API by their names and with their parameters, facts from the world, and the time; it gives
answers and says what the world must do. It has no clock, no chance of its own and no I/O: the same state, calls and
facts give the same answers and actions. A rule's source is `docs/scaling.md` where it is not said beside the rule.
"""
