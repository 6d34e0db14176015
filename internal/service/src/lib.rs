//! loglake-service
