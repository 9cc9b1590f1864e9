//! What happens at points of a replica while there is load: it dies there, or PostgreSQL is made to end
//! what it is at.

use std::time::{Duration, Instant};

use bursar_postgres::faults::Point;

use super::super::service::Service;

/// How long a replica may take to come to the point where it dies; some never do.
const COMES_TO_POINT: Duration = Duration::from_millis(1_500);
/// Where tries of batches are ended: all that they need is locked, and nothing is written.
const ENDED_AT: Point = Point::Decided;
/// What is said to one in a hundred each: that it is to be repeated (40001), and that it is refused, as it
/// is where two wait for each other (40P01), which the driver does not tell from other refusals.
const SAID: [&str; 2] = ["40001", "refused"];

/// Has a replica die when it comes to a point; whether it does.
pub(super) async fn dies_at(replica: &mut Service, point: Point) -> bool {
    replica.arm(point, "1*return(abort)").await;
    let deadline = Instant::now() + COMES_TO_POINT;
    while Instant::now() < deadline {
        if !replica.runs() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

/// From now on some of a replica's batches have to be tried again.
pub(super) async fn end_some_batches(replica: &Service) {
    let actions = SAID.map(|said| format!("1%return({said})"));
    replica.arm(ENDED_AT, &actions.join("->")).await;
}

/// From now on none of them has to.
pub(super) async fn end_no_batches(replica: &Service) {
    replica.arm(ENDED_AT, "off").await;
}

/// How often that happened so far.
pub(super) fn batches_ended(replica: &Service) -> usize {
    let ended = SAID.map(|said| replica.strikes(ENDED_AT, said));
    ended.into_iter().sum()
}
