"""What this computer has, and what each target would need here: for people, and for bug reports.

- finding.py    one line of it
- system.py     Python, the operating system, processor, memory
- packages.py   versions of what is installed
- gpus.py       NVIDIA's driver and GPUs
- engines.py    libraries that run graphs, loaded to see
- targets.py    what stands between this computer and each target
- cache.py      where bundles lie that were loaded by name
"""
