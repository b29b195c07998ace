"""The scikit-learn backends."""
