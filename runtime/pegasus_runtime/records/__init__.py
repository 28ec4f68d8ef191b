"""Millions of documents from files to files: what a crash interrupts goes on where it was.

- fields.py            what is added to a record: the summary, its score, ...
- problem.py           why a record has none: a code and a message
- json_line.py         one line of JSONL: its text out, the summary in; the rest stays as it is
- lines.py             lines of files, of gzip, of standard input, of a bounded length
- window.py            so many records that are read, run and written together
- jsonl_source.py      windows of lines
- parquet_source.py, parquet_output.py  windows of rows, and parts that become one file
- jsonl_output.py      a file that grows by a window at a time, and is cut back to whole ones
- state.py             the file beside an output that says how far it is, and of which run
- job.py               from a window's texts to what is added: in this process ...
- worker.py, workers.py  ... and in others
- run.py               the loop over all of it

Windows are cut by what is read alone, batches are planned within a window, and a run goes on at the
beginning of one. So what comes out is what would have come out without the interruption.
"""
