"""From a protocol to its runs: seeds, packs, and the digests of the files that they depend on."""
