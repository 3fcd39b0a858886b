"""One short module for each data product: how its files are recognised and read."""
