//! loglake-chunk
