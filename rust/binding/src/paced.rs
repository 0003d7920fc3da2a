//! A file that is written to the disk in small parts, so that an fsync of the log beside it never waits for hundreds of megabytes.

use std::fs::File;
use std::io::{BufWriter, Result, Write};

/// Bytes written to the disk at a time.
const PART_BYTES: usize = 2 << 20;
/// Blocks of a snapshot are larger; this is for the bytes between them.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Paced {
    file: BufWriter<File>,
    unsynced: usize,
}

impl Paced {
    pub(crate) fn new(file: File) -> Self {
        Paced {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            unsynced: 0,
        }
    }

    /// Waits until all of it is on the disk.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= PART_BYTES {
            self.unsynced = 0;
            self.file.flush()?;
            self.file.get_ref().sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}
