//! How large a record and its parts may be. Lengths are in bytes of UTF-8, after escapes were read.

/// The longest message.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// The longest canonical line, without `id`.
pub const RECORD_BYTES: usize = 512 * 1024;
/// The most attributes of a record.
pub const ATTRIBUTES: usize = 256;
/// How deep objects and lists may be nested inside an attribute's value: 0 is a plain value, 1 a list of plain values.
pub const DEPTH: usize = 8;
/// The longest key of an attribute, or of an object inside one.
pub const KEY_BYTES: usize = 256;
/// The most tags of a record.
pub const TAGS: usize = 64;
/// The longest tag.
pub const TAG_BYTES: usize = 256;
/// The longest trace id, span id or parent span id.
pub const ID_BYTES: usize = 256;
/// The longest name of a host.
pub const HOST_BYTES: usize = 256;
/// The longest unknown spelling of a level that is kept.
pub const LEVEL_TEXT_BYTES: usize = 256;
