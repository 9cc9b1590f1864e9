//! The actix-web adapter: both documented APIs, the admin API and the service pages.
