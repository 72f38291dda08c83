"""Plans the runs of a protocol: their seeds, their packs, and the digests of the files that they depend on."""
