/// What kind of failure an error is: one enum decides HTTP status and exit code, wherever the error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller's words are off: malformed input, a wrong flag, a broken project file.
    Invalid,
    /// The thing named does not exist.
    NotFound,
    /// The thing exists already, or changed in between.
    Conflict,
    /// Understood, and not allowed: a gate not met, an approval missing, a read before the horizon.
    Refused,
    /// A store or service did not answer; trying again may help.
    Unavailable,
    /// What was stored is not what was written.
    Corrupt,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    pub fn http_status(self) -> u16 {
        match self {
            ErrorKind::Invalid => 422,
            ErrorKind::NotFound => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::Refused => 403,
            ErrorKind::Unavailable => 503,
            ErrorKind::Corrupt | ErrorKind::Internal => 500,
        }
    }

    /// 1 failed, 2 bad usage or configuration.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Invalid => 2,
            ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Refused
            | ErrorKind::Unavailable
            | ErrorKind::Corrupt
            | ErrorKind::Internal => 1,
        }
    }
}
