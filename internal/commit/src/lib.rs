//! loglake-commit
