use std::time::Duration;

use karat_core::Window;

/// Why a service gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no answer within {0}")]
    Timeout(Window),
    /// Whoever asked could not wait any longer; the service may be well.
    #[error("no answer before the deadline")]
    Deadline,
    #[error("it cannot be reached: {0}")]
    Connection(String),
    #[error("it answered with status {0}")]
    Status(u16),
    /// There was an answer, which makes no sense.
    #[error("{0}")]
    Answer(String),
    #[error("it failed so often that it is not asked for {} s", .0.as_secs().max(1))]
    Paused(Duration),
    #[error("as many requests as it may have at once (`concurrency`) were under way until the deadline")]
    Busy,
    #[error("this key cannot stand in a URL")]
    Key,
    #[error("it cannot be asked: {0}")]
    NotSetUp(String),
}

impl Failure {
    /// One word, for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Failure::Timeout(_) => "timeout",
            Failure::Deadline => "deadline",
            Failure::Connection(_) => "connection",
            Failure::Status(_) => "status",
            Failure::Answer(_) => "answer",
            Failure::Paused(_) => "breaker",
            Failure::Busy => "busy",
            Failure::Key => "key",
            Failure::NotSetUp(_) => "setup",
        }
    }
}
