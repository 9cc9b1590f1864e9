mod bulk;
mod send;
mod views;
