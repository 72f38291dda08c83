"""Linear algebra, of which the program calls one function of BLAS."""
