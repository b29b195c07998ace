"""A verify run as units that machines share: the plan, what runs it, and how the parts become one run."""
