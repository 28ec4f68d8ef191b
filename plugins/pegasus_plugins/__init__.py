"""Block-sparse attention for engines that take custom operators. Nothing here yet."""
