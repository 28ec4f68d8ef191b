"""Changes to a traced graph, one per file; each says whether it changed anything."""
