"""Benchmarks: `make bench`. Ratios beside a peer or a bound, with commit and machine; never a test."""
