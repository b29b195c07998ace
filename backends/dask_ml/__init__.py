"""The dask-ml backends."""
