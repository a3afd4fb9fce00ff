//! The recordings layer as the daemon uses it: real files, real threads, real crashes.
//!
//! `exact` – every byte at its place; `killed` – SIGKILL at random moments; `disk` – full and read-only; `shelf` –
//! the library; `tools` – what sox and age of the distribution think of the files. No network, no Asterisk.

#[cfg(test)]
mod disk;
#[cfg(test)]
mod exact;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod shelf;
#[cfg(test)]
mod tools;
