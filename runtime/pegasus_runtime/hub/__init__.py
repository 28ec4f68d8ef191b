"""A model by its name on a hub: downloaded or exported once, and found here from then on.

- address.py          what a name says: a path here, or a repository of the hub
- cache_folder.py     where everything lies
- entry.py            one name's place there, and what is recorded of it
- clear_entry.py      deleted, while nobody makes it anew
- client.py           huggingface_hub, without its telemetry, and what its errors mean
- download_bundle.py  a repository that is a bundle already
- export_child.py     pegasus-export in a process of its own
- find_bundle.py      all of this, from what a program was given to a folder
"""
