//! loglake-api
