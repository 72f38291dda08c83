"""Data sets and corpora in memory, and the minibatches that are made of them."""
