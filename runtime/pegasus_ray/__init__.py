"""Datasets and deployments of Ray: many machines."""
