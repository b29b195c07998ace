"""Two runs, or two targets of one, side by side: what changed. Reads run directories, and nothing else.

operands      what is compared: runs, targets of a run, releases of a run that follow each other
judged        verdicts case by case, from the journal
verdicts, conventions, stability, endings, bits, times    what changed, of each kind
comparison    all of it, for pairs of targets
policy        which changes are regressions
"""
