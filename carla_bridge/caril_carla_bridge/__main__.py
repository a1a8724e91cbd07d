"""`python -m caril_carla_bridge`."""

from caril_carla_bridge.cli import main

if __name__ == "__main__":
    main()
