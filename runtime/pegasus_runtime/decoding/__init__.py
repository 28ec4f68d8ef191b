"""What search and engine share: the Protocol between them, and the selection of candidates."""
