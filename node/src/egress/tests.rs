//! The client against servers on loopback, built from ordinary settings.

mod certificates;
mod connections;
mod dns;
mod exchange;
mod limits;
mod origin;
mod redirects;
mod refusals;
mod world;
