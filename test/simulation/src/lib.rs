//! The roles over in-memory parts with an injected clock and seeded faults.
