"""The conformance suite: strategies, checks, the judge, and the planted defects that test the suite itself."""
