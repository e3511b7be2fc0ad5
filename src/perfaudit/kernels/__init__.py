"""The few hot loops, compiled by numba: each has a slow plain reference that its tests compare it with."""
