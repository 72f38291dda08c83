"""Language models: corpora as streams of words, the QRNN, and its training."""
