"""What is measured of a checkpoint, on documents, before its precision is changed."""
