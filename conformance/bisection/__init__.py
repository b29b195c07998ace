"""``bnspec bisect``: the first release of a package in which an answer changed.

search      halving over ordered releases, and the checks that the answers change once
question    what is asked of a release: a clause, a case, a convention, a time
isolation   whether the package itself or one of its companions made the change
"""
