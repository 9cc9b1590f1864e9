//! A page's stream, as somebody hears it.

use std::{pin::Pin, time::Duration};

use actix_web::{
    App, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::Service,
    test,
};
use bursar_console::configure;
use futures_util::future::poll_fn;

use crate::world::{OLGA, World, operator};

/// A stream that somebody listens to.
pub(crate) struct Stream {
    body: Pin<Box<BoxBody>>,
    text: String,
}

impl Stream {
    /// Listens as Olga, or is told by its status that there is no stream.
    pub(crate) async fn open(world: &World, address: impl AsRef<str>) -> Result<Self, u16> {
        let console = world.console.clone();
        let app = App::new().configure(|service| configure(service, console));
        let service = test::init_service(app).await;
        let request = test::TestRequest::get().uri(address.as_ref()).to_request();
        request.extensions_mut().insert(operator(OLGA));
        let answer = service.call(request).await.expect("it answers");
        if answer.status() != 200 {
            return Err(answer.status().as_u16());
        }
        let kind = answer.headers().get("content-type");
        assert!(kind.is_some_and(|kind| kind == "text/event-stream"));
        Ok(Self {
            body: Box::pin(answer.into_body().boxed()),
            text: String::new(),
        })
    }

    /// Listens until the stream ends.
    pub(crate) async fn ends(&mut self) {
        let end = async {
            while let Some(piece) = poll_fn(|context| self.body.as_mut().poll_next(context)).await {
                assert!(piece.is_ok());
            }
        };
        let end = tokio::time::timeout(Duration::from_secs(10), end).await;
        assert!(end.is_ok(), "the stream ends");
    }

    /// Listens until this is told, and answers what was told before it.
    pub(crate) async fn told(&mut self, wanted: &str) -> String {
        let read = async {
            loop {
                if let Some((before, after)) = self.text.split_once(wanted) {
                    let (before, after) = (before.to_owned(), after.to_owned());
                    self.text = after;
                    return before;
                }
                let piece = poll_fn(|context| self.body.as_mut().poll_next(context)).await;
                let Some(Ok(piece)) = piece else {
                    panic!("the stream goes on");
                };
                self.text.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        read.unwrap_or_else(|_| panic!("{wanted} is not told: {}", self.text))
    }
}
