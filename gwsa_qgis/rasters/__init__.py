"""Grids, monthly stacks, windows and safe writing, on GDAL."""
