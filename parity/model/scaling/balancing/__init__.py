"""Load balancers: target groups, targets, and how groups come and go there."""
