"""The library's public face: one module for each algorithm, files in and files out."""
