"""Published figures, to be shown beside measured ones: the paper's tables and an independent replication."""
