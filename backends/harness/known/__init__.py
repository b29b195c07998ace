"""Known deviations: the type of an entry, predicates over cases, and the entries of all backend folders."""
