//! OpenDRIVE road networks: reading, geometry, lanes, routes.
