"""Documents of many callers, joined into batches."""
