//! The HTTP adapter from outside: real routes and real use cases over the in-memory store.

mod address_book;
mod admin;
mod admin_credentials;
mod admin_transfers;
mod amounts;
mod backoffice;
mod backoffice_lists;
mod bulk;
mod client;
mod credentials;
mod documented;
mod fakes;
mod guide;
mod idempotency;
mod internal;
mod internal_lists;
mod limits;
mod observed;
mod openapi;
mod openapi_scenes;
mod outages;
mod served;
mod service_pages;
mod story;
mod transport;
mod world;
