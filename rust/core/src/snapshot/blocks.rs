//! The frame of a snapshot: what it begins with, blocks of bounded size with a checksum each, and the content's hash.
//!
//! In: a table's bytes as they come. Out: blocks, compressed one by one. Always: at most two blocks are in memory; a
//! block is checked before it is opened, and opened into a buffer of the size that it states, bounded.

use std::io::{ErrorKind, Read, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{FORMAT, SnapshotError};

/// The first bytes; a transfer that rewrites line ends spoils them.
const MAGIC: [u8; 8] = *b"HFSNAP\r\n";
/// The last bytes before the content's hash.
const END: [u8; 8] = *b"HFSNAPED";
/// The most that a block holds before compression.
pub(super) const BLOCK_BYTES_MAX: usize = 1 << 20;
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Fast, and within a few per cent of the slower ones on these tables.
const LEVEL: i32 = 1;
/// The flag of a table's last block.
const LAST: u16 = 1;
/// What `table` is in the block that ends the body.
const NO_TABLE: u16 = u16::MAX;

/// What stands before each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockHead {
    table: u16,
    flags: u16,
    index: u32,
    /// Bytes before compression.
    raw: u32,
    /// Bytes in the file; as many as `raw`: not compressed.
    stored: u32,
}

impl BlockHead {
    const BYTES: usize = 16;

    fn encoded(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0..2].copy_from_slice(&self.table.to_le_bytes());
        out[2..4].copy_from_slice(&self.flags.to_le_bytes());
        out[4..8].copy_from_slice(&self.index.to_le_bytes());
        out[8..12].copy_from_slice(&self.raw.to_le_bytes());
        out[12..16].copy_from_slice(&self.stored.to_le_bytes());
        out
    }

    fn decoded(bytes: [u8; Self::BYTES]) -> Self {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        BlockHead {
            table: half(0),
            flags: half(2),
            index: word(4),
            raw: word(8),
            stored: word(12),
        }
    }
}

fn checksum(head: &[u8], body: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(head);
    hash.update(body);
    hash.digest()
}

/// Everything that is content, whatever the compression made of it: header, then each table's number, length and bytes.
#[derive(Debug, Default)]
struct ContentHash(blake3::Hasher);

impl ContentHash {
    fn open(&mut self, table: u16) {
        self.0.update(&table.to_le_bytes());
    }

    fn close(&mut self, bytes: u64) {
        self.0.update(&bytes.to_le_bytes());
    }
}

/// Writes blocks. An error of the sink is kept until the table is closed, so that encoders need not ask.
pub(super) struct BlockWriter<'a> {
    sink: &'a mut dyn Write,
    content: ContentHash,
    compressor: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
    pub(super) buffer: Vec<u8>,
    table: u16,
    index: u32,
    written: u64,
    failed: Option<std::io::Error>,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn begin(sink: &'a mut dyn Write, header: &[u8]) -> Result<Self, SnapshotError> {
        let mut first = Vec::with_capacity(24 + header.len());
        first.extend_from_slice(&MAGIC);
        first.extend_from_slice(&FORMAT.to_le_bytes());
        first.extend_from_slice(&(header.len() as u32).to_le_bytes());
        first.extend_from_slice(header);
        let sum = xxh3_64(&first);
        first.extend_from_slice(&sum.to_le_bytes());
        sink.write_all(&first)?;
        let mut content = ContentHash::default();
        content.0.update(header);
        Ok(BlockWriter {
            sink,
            content,
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            packed: vec![0; zstd::zstd_safe::compress_bound(BLOCK_BYTES_MAX)],
            buffer: Vec::with_capacity(BLOCK_BYTES_MAX + 4096),
            table: 0,
            index: 0,
            written: 0,
            failed: None,
        })
    }

    pub(super) fn open(&mut self, table: u16) {
        self.table = table;
        self.written = 0;
        self.content.open(table);
    }

    /// To be called between entries: writes what fills a block.
    #[inline]
    pub(super) fn relieve(&mut self) {
        if self.buffer.len() >= BLOCK_BYTES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut from = 0;
        while self.buffer.len() - from >= BLOCK_BYTES_MAX {
            self.block(from, from + BLOCK_BYTES_MAX, 0);
            from += BLOCK_BYTES_MAX;
        }
        self.buffer.drain(..from);
    }

    fn block(&mut self, from: usize, to: usize, flags: u16) {
        if self.failed.is_none()
            && let Err(error) = self.try_block(from, to, flags)
        {
            self.failed = Some(error);
        }
    }

    fn try_block(&mut self, from: usize, to: usize, flags: u16) -> std::io::Result<()> {
        let raw = &self.buffer[from..to];
        self.content.0.update(raw);
        let packed = self.compressor.compress_to_buffer(raw, &mut self.packed[..])?;
        let body = if packed < raw.len() {
            &self.packed[..packed]
        } else {
            raw
        };
        let head = BlockHead {
            table: self.table,
            flags,
            index: self.index,
            raw: raw.len() as u32,
            stored: body.len() as u32,
        };
        let head = head.encoded();
        self.sink.write_all(&head)?;
        self.sink.write_all(&checksum(&head, body).to_le_bytes())?;
        self.sink.write_all(body)?;
        self.index += 1;
        self.written += raw.len() as u64;
        Ok(())
    }

    /// Ends a table: its last block is marked as such, even an empty one.
    pub(super) fn close(&mut self) -> Result<(), SnapshotError> {
        self.relieve();
        self.block(0, self.buffer.len(), LAST);
        self.buffer.clear();
        self.content.close(self.written);
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<(), SnapshotError> {
        self.sink.write_all(&END)?;
        self.sink.write_all(self.content.0.finalize().as_bytes())?;
        self.sink.flush()?;
        Ok(())
    }
}

/// Reads blocks, each checked before its bytes are given.
pub(super) struct BlockReader<'a> {
    /// The file's format.
    pub(super) format: u32,
    source: &'a mut dyn Read,
    content: ContentHash,
    decompressor: zstd::bulk::Decompressor<'static>,
    packed: Vec<u8>,
    block: Vec<u8>,
    at: usize,
    is_last: bool,
    table: u16,
    name: &'static str,
    index: u32,
    given: u64,
}

fn filled(source: &mut dyn Read, into: &mut [u8], part: &'static str) -> Result<(), SnapshotError> {
    source.read_exact(into).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => SnapshotError::damaged(part, "the file ends here"),
        _ => error.into(),
    })
}

impl<'a> BlockReader<'a> {
    /// The reader behind the header, and the header's bytes.
    pub(super) fn begin(source: &'a mut dyn Read) -> Result<(Self, Vec<u8>), SnapshotError> {
        let mut first = vec![0; 16];
        filled(source, &mut first[..8], "magic").map_err(|error| match error {
            SnapshotError::Damaged { .. } => SnapshotError::NotASnapshot,
            other => other,
        })?;
        if first[..8] != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        filled(source, &mut first[8..], "header")?;
        let word = |at: usize| u32::from_le_bytes([first[at], first[at + 1], first[at + 2], first[at + 3]]);
        let (format, length) = (word(8), word(12) as usize);
        if format > FORMAT {
            return Err(SnapshotError::TooNew {
                found: format,
                known: FORMAT,
            });
        }
        if format == 0 || length > HEADER_BYTES_MAX {
            return Err(SnapshotError::damaged(
                "header",
                "its format or length is out of bounds",
            ));
        }
        first.resize(16 + length, 0);
        filled(source, &mut first[16..], "header")?;
        let mut sum = [0; 8];
        filled(source, &mut sum, "header")?;
        if u64::from_le_bytes(sum) != xxh3_64(&first) {
            return Err(SnapshotError::damaged("header", "its checksum differs"));
        }
        let header = first.split_off(16);
        let mut content = ContentHash::default();
        content.0.update(&header);
        let reader = BlockReader {
            format,
            source,
            content,
            decompressor: zstd::bulk::Decompressor::new()?,
            packed: Vec::new(),
            block: Vec::with_capacity(BLOCK_BYTES_MAX),
            at: 0,
            is_last: true,
            table: NO_TABLE,
            name: "body",
            index: 0,
            given: 0,
        };
        Ok((reader, header))
    }

    pub(super) fn open(&mut self, table: u16, name: &'static str) -> Result<(), SnapshotError> {
        (self.table, self.name, self.is_last, self.given) = (table, name, false, 0);
        self.content.open(table);
        self.next()
    }

    /// What is left of the block; empty at its end.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.block[self.at..]
    }

    #[inline]
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes on to the table's next block; an error where there is none.
    pub(super) fn next(&mut self) -> Result<(), SnapshotError> {
        if self.is_last {
            return Err(SnapshotError::damaged(self.name, "its entries end early"));
        }
        let damaged = |reason: &str| SnapshotError::damaged(self.name, reason);
        let mut bytes = [0; BlockHead::BYTES];
        filled(self.source, &mut bytes, self.name)?;
        let mut sum = [0; 8];
        filled(self.source, &mut sum, self.name)?;
        let head = BlockHead::decoded(bytes);
        let (raw, stored) = (head.raw as usize, head.stored as usize);
        if raw > BLOCK_BYTES_MAX || stored > raw || head.flags & !LAST != 0 {
            return Err(damaged("a block's length is out of bounds"));
        }
        self.packed.resize(stored, 0);
        filled(self.source, &mut self.packed, self.name)?;
        if u64::from_le_bytes(sum) != checksum(&bytes, &self.packed) {
            return Err(damaged("a block's checksum differs"));
        }
        if (head.table, head.index) != (self.table, self.index) {
            return Err(damaged("a block is missing or out of place"));
        }
        self.block.resize(raw, 0);
        if stored == raw {
            self.block.copy_from_slice(&self.packed);
        } else {
            let opened = self
                .decompressor
                .decompress_to_buffer(&self.packed, &mut self.block[..]);
            if opened.ok() != Some(raw) {
                return Err(damaged("a block does not unpack to its length"));
            }
        }
        self.content.0.update(&self.block);
        self.is_last = head.flags & LAST != 0;
        self.index += 1;
        self.at = 0;
        self.given += raw as u64;
        Ok(())
    }

    /// Ends a table: nothing may be left of it.
    pub(super) fn close(&mut self) -> Result<(), SnapshotError> {
        if self.rest().is_empty() && !self.is_last {
            self.next()?; // the writer ends a table with a separate block where the entries fill the one before
        }
        if !self.is_last || !self.rest().is_empty() {
            return Err(SnapshotError::damaged(self.name, "there is more than its entries"));
        }
        self.content.close(self.given);
        Ok(())
    }

    /// Checks the content's hash and that nothing follows it.
    pub(super) fn finish(self) -> Result<(), SnapshotError> {
        let mut end = [0; 8];
        filled(self.source, &mut end, "end")?;
        let mut hash = [0; 32];
        filled(self.source, &mut hash, "end")?;
        if end != END || hash != *self.content.0.finalize().as_bytes() {
            return Err(SnapshotError::damaged("end", "the content's hash differs"));
        }
        match self.source.read(&mut end[..1])? {
            0 => Ok(()),
            _ => Err(SnapshotError::damaged("end", "more follows it")),
        }
    }
}
