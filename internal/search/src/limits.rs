/// Services that a filter may name.
pub const MAX_SERVICES: usize = 100;
/// Texts that `contains`, and as many that `icontains`, may list.
pub const MAX_NEEDLES: usize = 100;
/// Bytes of one such text, and of a field's value.
pub const MAX_NEEDLE_BYTES: usize = 64 << 10;
/// Bytes of a regular expression.
pub const MAX_REGEX_BYTES: usize = 4 << 10;
/// Bytes of a trace id.
pub const MAX_TRACE_ID_BYTES: usize = 256;
/// Conditions on fields.
pub const MAX_FIELDS: usize = 100;
/// Bytes of a field's name: a path of eight keys of 256 bytes.
pub const MAX_NAME_BYTES: usize = 8 * 257;

/// Bytes that a compiled regular expression may take.
pub(crate) const REGEX_SIZE: usize = 1 << 20;
/// Bytes that its lazily built automaton may take, a thread.
pub(crate) const REGEX_CACHE: usize = 2 << 20;
/// How deep groups may be nested.
pub(crate) const REGEX_NESTING: u32 = 100;
