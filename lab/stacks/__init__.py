"""The stacks of the lab, a package each."""
