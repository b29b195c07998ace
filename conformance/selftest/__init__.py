"""The suite's tests of itself: mutants, correct variants, the kill matrix, the soundness of the bounds."""
