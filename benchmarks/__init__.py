"""Measurements beside peers and bare minima; ``python -m benchmarks`` runs them all."""
