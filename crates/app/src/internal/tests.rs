mod send;
mod views;
