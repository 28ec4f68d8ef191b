"""Ray on the loopback interface alone, and silent: before anything imports it."""

import os

os.environ.update(
    {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # where it reports that it does not
        # Nodes have 127.0.0.1 for an address then, as they do on macOS; otherwise Ray asks for the
        # one by which this computer would reach the internet, and listens there.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_worker_niceness": "0",  # 15 otherwise: less than all that runs beside the tests
    }
)
