"""Types of the functions of scipy that the engine calls; the package brings none."""
