//! The commit protocol as a state model, checked exhaustively at small sizes.
