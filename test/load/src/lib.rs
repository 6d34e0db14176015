//! loglake-load
