//! loglake-ingest
