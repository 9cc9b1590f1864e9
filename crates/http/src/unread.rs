//! Bodies that come in chunks and that nobody reads to their end.
//!
//! Once nobody holds such a body any more, actix reads on and throws away what comes, for as long as
//! something does. Whoever is answered while the body is held is hung up on soon after instead.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::header::TRANSFER_ENCODING,
};
use bytes::Bytes;
use futures_util::Stream;

/// A body that is read by one and held by another.
#[derive(Clone)]
pub(crate) struct Held(Rc<RefCell<Payload>>);

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}

/// Holds a request's body, if it comes in chunks: of any other the end is known.
pub(crate) fn hold(request: &mut ServiceRequest) -> Option<Held> {
    if !request.headers().contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let held = Held(Rc::new(RefCell::new(request.take_payload())));
    request.set_payload(Payload::Stream {
        payload: Box::pin(held.clone()),
    });
    Some(held)
}

/// Holds it until the answer is written.
pub(crate) fn until_answered(answer: ServiceResponse, held: Option<Held>) -> ServiceResponse {
    match held {
        Some(held) => answer.map_body(|_, body| BoxBody::new(Answer { body, _held: held })),
        None => answer,
    }
}

/// An answer's body, with what is held until its end.
struct Answer {
    body: BoxBody,
    _held: Held,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
