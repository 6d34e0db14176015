//! loglake-query
