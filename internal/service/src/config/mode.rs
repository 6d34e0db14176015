use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;

/// Whether others than a file's owner and group may read it.
pub(super) fn is_world_readable(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o004 != 0
}
