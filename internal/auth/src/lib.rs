//! loglake-auth
