//! `loglake dev`: one process, its disk, and what can happen to them.

pub(super) mod kill;
