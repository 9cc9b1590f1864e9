//! The point that nobody comes to who comes alone: a single writer's batch is written while the one
//! before it is on its way.
//!
//! The one before is kept for half a second right before its COMMIT. It has left its turn by then, and
//! its batch takes nobody else up, so that whoever comes meanwhile is in a batch behind it.

use bursar_postgres::faults::Point;

use super::{
    super::{
        call::{Call, Told},
        exchange::{DEPOSIT, INTERNAL, WITHDRAW},
        service::SINGLE_WRITER,
    },
    ACTS, Scene, TRIES_MAX, is_lethal, rounds,
};

/// What comes meanwhile.
const OPERATIONS: [(&str, bool); 3] = [(DEPOSIT, true), (INTERNAL, true), (WITHDRAW, true)];

impl Scene {
    /// Strikes a request that is written ahead of another one's COMMIT.
    async fn strike_ahead(&mut self, operation: (&'static str, bool), act: &str) {
        self.cells += 1;
        let cell = format!("{} {} {act}", operation.0, Point::WrittenAhead.name());
        let before = self.strikes(Point::WrittenAhead, act);
        let mut both = self.send_both(operation, act).await;
        let mut tries = 1;
        // Where both are answered and nobody was struck, the first was committed too soon: on a busy
        // machine half a second may be too short.
        while both.iter().all(is_done) && self.strikes(Point::WrittenAhead, act) == before {
            assert!(tries < TRIES_MAX, "{cell}: nothing was written ahead");
            tries += 1;
            both = self.send_both(operation, act).await;
        }
        if is_lethal(act) {
            let [_, second] = &both;
            assert!(!second.is_certain(), "{cell}: {:?}", second.answer);
            self.start_again(Point::WrittenAhead, act, before).await;
        } else {
            for told in &both {
                assert!(is_done(told), "{cell}: {:?} {:?}", told.answer, told.error);
            }
            self.struck(Point::WrittenAhead, act, before).await;
            self.arm(Point::WrittenAhead, "off").await;
        }
        self.hit += 1;
        for told in &both {
            self.assert_once(told, &cell).await;
        }
    }

    /// Sends a request, and another one once the first is about to be committed.
    async fn send_both(&mut self, operation: (&'static str, bool), act: &str) -> [Told; 2] {
        let first = self.payment_before();
        let second = self.call(operation).await;
        self.books.settled().await;
        self.arm(Point::WrittenAhead, &format!("1*return({act})"))
            .await;
        let before = self.strikes(Point::Written, "sleep");
        self.arm(Point::Written, "1*return(sleep)").await;
        let client = self.client();
        let meanwhile = async {
            self.struck(Point::Written, "sleep", before).await;
            // From now on COMMIT is sent along with what is written, as ever.
            self.arm(Point::Written, "off").await;
            second.send(&client).await
        };
        let (first, second) = tokio::join!(first.send(&client), meanwhile);
        [first, second]
    }

    /// A payment to whoever the second request is about: what comes of that one is decided by what this
    /// one leaves.
    fn payment_before(&mut self) -> Call {
        let key = self.next_key();
        let [user, _, payer] = &self.exchange.traders[..] else {
            panic!("there are three traders");
        };
        let body = self.payment(user, &key);
        Call::new(INTERNAL, &payer.token, &key, &body, true)
    }
}

/// Whether it was answered as if nothing had happened.
fn is_done(told: &Told) -> bool {
    let answer = told.answer.as_ref();
    answer.is_some_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn whatever_happens_to_what_is_written_ahead_is_no_harm() {
    let mut scene = Scene::set("failpoints_ahead", SINGLE_WRITER).await;
    for _ in 0..rounds() {
        for operation in OPERATIONS {
            for act in ACTS {
                scene.strike_ahead(operation, act).await;
            }
        }
    }
    scene.end().await;
}
