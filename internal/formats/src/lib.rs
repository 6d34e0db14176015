//! loglake-formats
