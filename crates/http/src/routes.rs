//! Which path answers to what.

use std::{
    cell::Cell,
    future::{Ready, ready},
    net::SocketAddr,
    rc::Rc,
};

use actix_web::{
    HttpResponse, Resource,
    dev::ServiceRequest,
    guard::{Any, Get, Guard, Head, fn_guard},
    web::{self, ServiceConfig},
};

use crate::{
    HttpConfig, HttpState, address_book, admin, backoffice, balance, callback_addresses,
    callback_tests, headroom, health, internal, observe::Observe, openapi, payout_results,
    problem::Problem, state::Shared,
};

/// Below what is served beside the APIs, which looks at its callers itself.
pub(crate) const BESIDE: &str = "/console";

/// What operators and their tools ask for, which may have a listener of its own.
const OPERATORS: [&str; 4] = ["/admin", BESIDE, "/docs", "/metrics"];

/// Whether what operators ask for at a path is not to be found: not at this address; or because the path
/// is written so that the rule of a proxy in front may not have known it for what it is; or because no
/// text of the database could hold a part of it.
pub(crate) fn is_hidden(request: &ServiceRequest, operators: Option<SocketAddr>) -> bool {
    // Decoded, as it is matched.
    let path = request.match_info().as_str();
    let is_elsewhere = || operators.is_some_and(|own| request.app_config().local_addr() != own);
    let is_plain = || is_for_operators(request.uri().path()) && !path.contains('\0');
    is_for_operators(path) && (is_elsewhere() || !is_plain())
}

fn is_for_operators(path: &str) -> bool {
    OPERATORS.iter().any(|prefix| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The pattern that a request's path matched, once it has, for the log and the figures. Copies share it:
/// a handler that panics takes its request with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pattern(Rc<Cell<Option<&'static str>>>);

impl Pattern {
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.0.get()
    }
}

/// Mounts every route on an application of one's own, such as a test's.
pub fn configure(service: &mut ServiceConfig, config: &HttpConfig, state: HttpState) {
    mount(service, web::Data::new(Shared::new(config, state)), |_| {});
}

/// Mounts every route, and what is served beside them.
pub(crate) fn mount(
    service: &mut ServiceConfig,
    shared: web::Data<Shared>,
    beside: impl FnOnce(&mut ServiceConfig),
) {
    let scope = web::scope("")
        .app_data(shared.clone())
        .configure(internal::mount)
        .configure(address_book::mount)
        .configure(backoffice::mount)
        .configure(balance::mount)
        .configure(headroom::mount)
        .configure(admin::mount)
        .configure(callback_addresses::mount)
        .configure(callback_tests::mount)
        .configure(payout_results::mount)
        .configure(health::mount)
        .configure(openapi::mount)
        .configure(beside)
        .default_service(web::to(unknown))
        .wrap(Observe(shared));
    service.service(scope);
}

/// A path and the methods it answers to; any other is refused with these.
pub(crate) fn path(pattern: &'static str, allow: &'static str) -> Resource {
    paths(&[pattern], allow)
}

/// Several spellings of one path, the first of which names it.
pub(crate) fn paths(patterns: &[&'static str], allow: &'static str) -> Resource {
    let name = patterns.first().copied().unwrap_or_default();
    #[cfg(test)]
    tests::MOUNTED.with_borrow_mut(|mounted| mounted.push((name, allow)));
    web::resource(patterns.to_vec())
        .guard(noting(name))
        .default_service(web::to(move || refuse_method(allow)))
}

/// Lets every request pass whose path has matched, and notes what it matched.
fn noting(name: &'static str) -> impl Guard {
    fn_guard(move |context| {
        if let Some(pattern) = context.req_data().get::<Pattern>() {
            pattern.0.set(Some(name));
        }
        true
    })
}

/// A route for GET, and for HEAD, which is GET without the body.
pub(crate) fn get() -> actix_web::Route {
    web::route().guard(readable())
}

fn readable() -> impl Guard {
    Any(Get()).or(Head())
}

fn unknown() -> Ready<Result<HttpResponse, Problem>> {
    ready(Err(Problem::route_unknown()))
}

fn refuse_method(allow: &'static str) -> Ready<Result<HttpResponse, Problem>> {
    ready(Err(Problem::method_not_allowed(allow)))
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
    };

    use bursar_app::{
        App, BooksSeen, BreakersSeen, CallbackUrlPolicy, Keyring, Limits, Ports, SessionSettings,
        Settings, TransferSettings,
    };
    use bursar_domain::AssetId;
    use bursar_ports::{
        MockAddressBook, MockAuditLog, MockBookIntegrity, MockCallbackLog, MockCallbackSecrets,
        MockClock, MockCredentialStore, MockDirectory, MockEventFeed, MockExports, MockFigures,
        MockIdSource, MockNotifier, MockOperators, MockPasswordHasher, MockRateLimiter,
        MockReplayGuard, MockRuleBook, MockTasks, MockTransferQuery, MockTransferStore,
        MockWorkQueue,
    };
    use serde_json::Value;

    use super::*;
    use crate::OPENAPI;

    thread_local! {
        /// Every path that was mounted, with the methods that it answers to.
        pub(super) static MOUNTED: RefCell<Vec<(&'static str, &'static str)>> =
            const { RefCell::new(vec![]) };
    }

    /// An application that is never called.
    fn state() -> HttpState {
        let ports = Ports {
            store: Arc::new(MockTransferStore::new()),
            query: Arc::new(MockTransferQuery::new()),
            exports: Arc::new(MockExports::new()),
            directory: Arc::new(MockDirectory::new()),
            address_book: Arc::new(MockAddressBook::new()),
            callback_log: Arc::new(MockCallbackLog::new()),
            work_queue: Arc::new(MockWorkQueue::new()),
            figures: Arc::new(MockFigures::new()),
            audit_log: Arc::new(MockAuditLog::new()),
            events: Arc::new(MockEventFeed::new()),
            integrity: Arc::new(MockBookIntegrity::new()),
            books_seen: BooksSeen::default(),
            breakers_seen: BreakersSeen::default(),
            notifier: Arc::new(MockNotifier::new()),
            credentials: Arc::new(MockCredentialStore::new()),
            callback_secrets: Arc::new(MockCallbackSecrets::new()),
            token_verifier: None,
            clock: Arc::new(MockClock::new()),
            ids: Arc::new(MockIdSource::new()),
            tasks: Arc::new(MockTasks::new()),
            limiter: Arc::new(MockRateLimiter::new()),
            local_limiter: Arc::new(MockRateLimiter::new()),
            replay_guard: Arc::new(MockReplayGuard::new()),
            rule_book: Arc::new(MockRuleBook::new()),
            payouts: None,
            operators: Arc::new(MockOperators::new()),
            passwords: Arc::new(MockPasswordHasher::new()),
            identity_provider: None,
        };
        let keyring = Keyring::try_new([0; 32], vec![("k".to_owned(), [0; 32])]).unwrap();
        let settings = Settings {
            root_asset: AssetId::parse("usd").unwrap(),
            callback_urls: CallbackUrlPolicy::default(),
            limits: Limits::default(),
            transfers: TransferSettings::default(),
            sessions: SessionSettings::default(),
        };
        let app = App::new(ports, Arc::new(keyring), settings);
        HttpState::new(app, Arc::new(String::new))
    }

    /// The alias paths are the same API, and pages for people are none.
    fn is_described(path: &str) -> bool {
        !path.starts_with("/api/v1/") && !path.starts_with("/docs") && path != "/openapi.json"
    }

    #[test]
    fn the_document_describes_what_is_mounted_and_nothing_else() {
        let config = HttpConfig::default();
        let _app = actix_web::App::new().configure(|service| configure(service, &config, state()));
        let mounted: BTreeMap<String, BTreeSet<String>> = MOUNTED
            .take()
            .into_iter()
            .filter(|(path, _)| is_described(path))
            .map(|(path, allow)| {
                let methods = allow.split(", ").filter(|method| *method != "HEAD");
                (path.to_owned(), methods.map(str::to_lowercase).collect())
            })
            .collect();
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let described = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(path, _)| is_described(path))
            .map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().cloned().collect();
                (path.clone(), methods)
            })
            .collect();
        assert_eq!(mounted, described);
    }
}
