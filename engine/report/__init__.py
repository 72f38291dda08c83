"""Files for a paper out of a study's measures: figures (matplotlib) and Parquet (pyarrow)."""
