//! What an end of the link counted.

/// Counters of one end since it was made. Nothing on the frame path logs: this is what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Frames sent (plant) or handed out (controller).
    pub frames: u64,
    /// Commands accepted (plant) or sent (controller).
    pub commands: u64,
    /// Frames that a newer one replaced: never sent (plant), or skipped ids (controller).
    pub dropped: u64,
    /// Messages that could not be decoded, or came from someone who has no say.
    pub malformed: u64,
    /// Frame ids or answers that came again.
    pub repeated: u64,
    /// Answers that came too late to be obeyed (plant).
    pub stale: u64,
    /// Controllers turned away (plant).
    pub refused: u64,
    /// Ticks in which the plant braked by itself (plant).
    pub braked: u64,
    /// Messages of strangers at a secured endpoint: not answered, not looked at (plant).
    pub strangers: u64,
    /// Handshakes completed.
    pub sessions: u64,
}
