use std::io;

use super::*;

#[test]
fn a_connection_is_given_up_when_nothing_can_be_done_over_it() {
    let timeout = io::Error::from(io::ErrorKind::TimedOut);
    assert!(is_lost(&timeout.into()));
    let is_lost = |kind: ErrorKind| is_lost(&redis::RedisError::from((kind, "of a test")));
    for kind in [
        ErrorKind::Io,
        ErrorKind::Parse,
        ErrorKind::AuthenticationFailed,
        ErrorKind::Server(ServerErrorKind::ReadOnly),
        ErrorKind::Server(ServerErrorKind::BusyLoading),
        ErrorKind::Server(ServerErrorKind::MasterDown),
    ] {
        assert!(is_lost(kind), "{kind:?}");
    }
    for kind in [
        ErrorKind::Extension,
        ErrorKind::UnexpectedReturnType,
        ErrorKind::Server(ServerErrorKind::NoPerm),
        ErrorKind::Server(ServerErrorKind::NoScript),
        ErrorKind::Server(ServerErrorKind::ResponseError),
    ] {
        assert!(!is_lost(kind), "{kind:?}");
    }
}
