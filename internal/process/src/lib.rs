//! loglake-process
