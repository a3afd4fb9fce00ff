//! Tests of the recordings layer as the daemon uses it: real files, real threads, real crashes.
//!
//! `exact`: every byte is in its place. `killed`: SIGKILL at random moments. `disk`: full and read-only
//! disks. `shelf`: the library. `tools`: what sox and age of the distribution make of the files. The tests
//! need no network and no Asterisk.

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
mod small_disk;
#[cfg(test)]
mod tools;
