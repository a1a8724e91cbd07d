"""The entry point: `caril-carla-bridge` and `python -m caril_carla_bridge`. A signal waits from the
first line on, until somebody can do what it asks: one that came while modules load would kill."""

import signal

signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))

from caril_carla_bridge.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
