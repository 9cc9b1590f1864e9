//! The console from outside: the real pages and use cases over the in-memory store.

mod acting;
mod assets;
mod browser;
mod colours;
mod crowd;
mod elsewhere;
mod live;
mod markup;
mod operations;
mod operators;
mod pages;
mod queue;
mod rules;
mod search;
mod second_look;
mod settings;
mod story;
mod stream;
mod users;
mod world;
