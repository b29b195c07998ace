"""What is timed: workloads, suites of them, their cases, and the bytes they must move."""
