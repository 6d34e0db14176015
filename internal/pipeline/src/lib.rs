//! loglake-pipeline
