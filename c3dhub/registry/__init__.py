"""Which models there are: the manifest, its entries, input contracts, class names. No torch."""
