"""A look into graphs and plans: layers, differences, what a linter says."""
