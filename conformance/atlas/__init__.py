"""Making the atlas: releases are measured, adjacent ones compared, and each change is seen again in both environments.

python -m bnspec.conformance.atlas    does what is missing; see __main__
"""
