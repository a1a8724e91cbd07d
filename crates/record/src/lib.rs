//! The recording: MCAP topics, bounded hand-off, writer thread, reader.
