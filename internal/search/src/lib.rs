//! loglake-search
