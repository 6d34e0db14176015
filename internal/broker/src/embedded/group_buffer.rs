use crate::embedded::format::begin_group;

/// What a write past the page cache is made of: whole blocks, on addresses and at places that are multiples of it. The
/// largest that disks ask for.
pub(super) const BLOCK_BYTES: usize = 4_096;

/// Memory for the group at work, where the kernel takes it as it is: what stands in front of the group in its first block, the
/// group, and zeros up to the end of its last block.
#[derive(Debug, Default)]
pub(super) struct GroupBuffer {
    bytes: Vec<u8>,
    /// Where the first block begins: on an address that is a multiple of [`BLOCK_BYTES`].
    start: usize,
    /// How many bytes of the file stand before the group in its first block.
    lead: usize,
}

impl GroupBuffer {
    /// Begins a group of at most `bytes` behind `lead`, the bytes of the file from the last multiple of a block up to it.
    pub(super) fn begin(&mut self, lead: &[u8], bytes: usize) {
        self.bytes.clear();
        // It must not move any more: room for finding the first block, for all of the group, and for the zeros.
        self.bytes.reserve(lead.len() + bytes + 2 * BLOCK_BYTES);
        self.start = self.bytes.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        self.lead = lead.len();
        self.bytes.resize(self.start, 0);
        self.bytes.extend_from_slice(lead);
        begin_group(&mut self.bytes);
    }

    /// What records are appended to.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How long the group is so far.
    pub(super) fn group_bytes(&self) -> usize {
        self.bytes.len() - self.start - self.lead
    }

    /// The group.
    pub(super) fn group_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start + self.lead..]
    }

    /// The group.
    pub(super) fn group(&self) -> &[u8] {
        &self.bytes[self.start + self.lead..]
    }

    /// All of it as whole blocks; the group stays as long as it is.
    pub(super) fn with_blocks<T>(&mut self, write: impl FnOnce(&[u8]) -> T) -> T {
        let length = self.bytes.len();
        let whole = (length - self.start).next_multiple_of(BLOCK_BYTES);
        self.bytes.resize(self.start + whole, 0);
        let written = write(&self.bytes[self.start..]);
        self.bytes.truncate(length);
        written
    }

    /// What stands in the last, unfinished block: the lead of the group after this one. Empty when the group ends with a block.
    pub(super) fn rest(&self) -> &[u8] {
        let used = self.bytes.len() - self.start;
        &self.bytes[self.start + used / BLOCK_BYTES * BLOCK_BYTES..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::format::{GROUP_HEADER_BYTES, push_record};

    #[test]
    fn blocks_are_whole_and_where_they_must_be() {
        let mut buffer = GroupBuffer::default();
        let mut lead = vec![7; 100];
        for payload in [0, 1, 3_900, 4_064, 5_000, 1 << 20] {
            let bytes = GROUP_HEADER_BYTES + 28 + payload;
            buffer.begin(&lead, bytes);
            push_record(buffer.bytes_mut(), 0, 1, 2, &vec![b'x'; payload]);
            assert_eq!((buffer.group_bytes(), buffer.group().len()), (bytes, bytes));
            let group = buffer.group().to_vec();
            buffer.with_blocks(|blocks| {
                assert_eq!(
                    (blocks.as_ptr().align_offset(BLOCK_BYTES), blocks.len() % BLOCK_BYTES),
                    (0, 0),
                    "{payload}"
                );
                assert_eq!(blocks[..lead.len()], lead);
                assert_eq!(blocks[lead.len()..lead.len() + bytes], group);
                assert!(blocks[lead.len() + bytes..].iter().all(|byte| *byte == 0));
                assert!(blocks.len() < lead.len() + bytes + BLOCK_BYTES);
            });
            assert_eq!(buffer.group(), group);
            let all = [&lead[..], &group].concat();
            assert_eq!(buffer.rest(), &all[all.len() / BLOCK_BYTES * BLOCK_BYTES..]);
            lead = buffer.rest().to_vec();
        }
    }
}
