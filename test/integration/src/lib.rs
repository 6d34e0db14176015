//! loglake-integration
