//! One frame in, one command out, one record: the step, the drive loop, timing statistics.
