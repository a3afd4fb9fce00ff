//! The machine the daemon runs on: what the process takes of it, how many calls it can carry, and that it keeps the
//! memory of the process to itself.
//!
//! | module | what |
//! |---|---|
//! | [`capacity`] | how many calls the machine can carry at once |
//! | [`dumps`] | keeps the process's memory out of core files and out of reach of other processes |
//! | [`process`] | processor time, memory and open files of the process |

pub mod capacity;
pub mod dumps;
pub mod process;
