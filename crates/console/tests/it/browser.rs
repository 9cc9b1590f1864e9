//! A browser without script: gets pages, and sends their forms.

use std::net::SocketAddr;

use actix_web::{
    App, HttpMessage,
    body::{MessageBody, to_bytes},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap},
    middleware::{Next, from_fn},
    test,
};
use bursar_console::{Visitor, configure};

use crate::{markup::Document, world::World};

/// An answer.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// It must be a page.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }

    /// Where it leads.
    #[track_caller]
    pub(crate) fn leads(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.body);
        self.header(header::LOCATION.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.and_then(Result::ok).unwrap_or_default().to_owned()
    }

    /// The cookies that it sets, as they would be sent back.
    pub(crate) fn cookies(&self) -> String {
        let set = self.headers.get_all(header::SET_COOKIE);
        let pairs = set.filter_map(|value| value.to_str().ok()?.split(';').next());
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn document(&self) -> Document {
        Document::read(&self.body)
    }

    /// What is read, without markup.
    pub(crate) fn text(&self) -> String {
        self.document().text()
    }
}

/// Somebody's browser.
pub(crate) struct Browser<'a> {
    world: &'a World,
    visitor: Option<Visitor>,
    pub(crate) cookies: String,
    /// More that it says of its requests.
    pub(crate) says: Vec<(&'static str, String)>,
    /// Where it is, when that is known.
    pub(crate) at: Option<SocketAddr>,
}

impl<'a> Browser<'a> {
    pub(crate) fn of(world: &'a World, visitor: Visitor) -> Self {
        Self {
            world,
            visitor: Some(visitor),
            cookies: String::new(),
            says: vec![],
            at: None,
        }
    }

    /// Nobody has signed in.
    pub(crate) fn stranger(world: &'a World) -> Self {
        Self {
            world,
            visitor: None,
            cookies: String::new(),
            says: vec![],
            at: None,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(test::TestRequest::get().uri(path)).await
    }

    /// Asks for what would come, without the page.
    pub(crate) async fn head(&self, path: &str) -> Page {
        let method = actix_web::http::Method::HEAD;
        self.send(test::TestRequest::with_uri(path).method(method))
            .await
    }

    /// Posts fields as they are.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        let request = test::TestRequest::post()
            .uri(path)
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload(body.join("&"));
        self.send(request).await
    }

    /// Presses the button of a page that leads to an address, with all that its form carries.
    #[track_caller]
    pub(crate) fn press<'b>(
        &'b self,
        page: &Page,
        path: &str,
        more: &'b [(&'b str, &'b str)],
    ) -> impl Future<Output = Page> + 'b {
        let fields = page.document().form_leading_to(path);
        let path = path.to_owned();
        async move {
            let carried = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let all: Vec<(&str, &str)> = carried.chain(more.iter().copied()).collect();
            self.post(&path, &all).await
        }
    }

    async fn send(&self, mut request: test::TestRequest) -> Page {
        if !self.cookies.is_empty() {
            request = request.insert_header((header::COOKIE, self.cookies.clone()));
        }
        for (name, value) in &self.says {
            request = request.insert_header((*name, value.clone()));
        }
        if let Some(at) = self.at {
            request = request.peer_addr(at);
        }
        let visitor = self.visitor.clone();
        let console = self.world.console.clone();
        let app = App::new()
            .wrap(from_fn(move |request: ServiceRequest, next| {
                signed_in(visitor.clone(), request, next)
            }))
            .configure(|service| configure(service, console));
        let service = test::init_service(app).await;
        let response = match test::try_call_service(&service, request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body).await;
        let bytes = bytes.unwrap_or_else(|_| panic!("a body that was made can be read"));
        Page {
            status: head.status().as_u16(),
            headers: head.headers().clone(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

async fn signed_in<B: MessageBody>(
    visitor: Option<Visitor>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    next.call(request).await
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| {
        format!("{escaped}%{byte:02X}")
    })
}
