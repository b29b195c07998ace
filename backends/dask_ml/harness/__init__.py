"""dask_ml, harness side: known deviations and repro scripts."""
