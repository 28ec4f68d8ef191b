"""A desktop application on pegasus_runtime: text files dropped on a window, summaries beside them.

documents.py, events.py, worker.py, shelf.py and bundles.py know nothing of Qt, and hold what it
does; the other files are what it looks like.
"""
