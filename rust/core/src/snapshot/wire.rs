//! Numbers and texts as bytes: variable-length integers, little endian; signed ones zigzagged; texts behind their length.
//!
//! In: values, or blocks. Out: the other. Always: a number that is read lies within the bounds that its reader names, and
//! no memory is allocated for a length alone.

use super::SnapshotError;
use super::blocks::{BlockReader, BlockWriter};
use crate::wire::facts::AsOf;

/// No text of the state is longer: a fact fits one message of LOG.
const TEXT_BYTES_MAX: u64 = 512 * 1024;
/// Beyond any quantity that rules let through (`HELD_MAX`), and so small that the seven terms of a cell fit 64 bits.
const QUANTITY_BOUND: i64 = 1 << 60;

/// Where a table's entries go.
pub(super) struct Out<'a, 'b> {
    blocks: &'a mut BlockWriter<'b>,
}

impl<'a, 'b> Out<'a, 'b> {
    pub(super) fn new(blocks: &'a mut BlockWriter<'b>) -> Self {
        Out { blocks }
    }

    /// To be called after each entry: what fills a block goes out.
    #[inline]
    pub(super) fn end_entry(&mut self) {
        self.blocks.relieve();
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.blocks.buffer.push(byte);
        self
    }

    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.byte(u8::from(flag))
    }

    pub(super) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.blocks.buffer.extend_from_slice(bytes);
        self
    }

    #[inline]
    pub(super) fn uint(&mut self, value: impl Into<u64>) -> &mut Self {
        let mut value = value.into();
        while value >= 0x80 {
            self.blocks.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    pub(super) fn size(&mut self, size: usize) -> &mut Self {
        self.uint(size as u64)
    }

    #[inline]
    pub(super) fn int(&mut self, value: impl Into<i64>) -> &mut Self {
        let value = value.into();
        self.uint(((value << 1) ^ (value >> 63)) as u64)
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.size(text.len()).fixed(text.as_bytes())
    }

    /// 0, or 1 and what `put` writes.
    pub(super) fn optional<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
        self
    }

    pub(super) fn optional_int(&mut self, value: Option<impl Into<i64>>) -> &mut Self {
        self.optional(value, |out, value| {
            out.int(value);
        })
    }

    pub(super) fn optional_uint(&mut self, value: Option<impl Into<u64>>) -> &mut Self {
        self.optional(value, |out, value| {
            out.uint(value);
        })
    }

    pub(super) fn optional_stamp(&mut self, as_of: Option<AsOf>) -> &mut Self {
        self.optional(as_of, |out, as_of| {
            out.stamp(as_of);
        })
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) -> &mut Self {
        self.optional(text, |out, text| {
            out.text(text);
        })
    }

    pub(super) fn stamp(&mut self, as_of: AsOf) -> &mut Self {
        match as_of {
            AsOf::Sequence(n) => self.byte(0).int(n),
            AsOf::Time(t) => self.byte(1).int(t),
        }
    }
}

/// Where a table's entries come from.
pub(super) struct In<'a, 'b> {
    blocks: &'a mut BlockReader<'b>,
    table: &'static str,
    format: u32,
}

type Got<T> = Result<T, SnapshotError>;

impl<'a, 'b> In<'a, 'b> {
    pub(super) fn new(blocks: &'a mut BlockReader<'b>, table: &'static str) -> Self {
        let format = blocks.format;
        In { blocks, table, format }
    }

    /// What files have from this format on; None in an older one.
    pub(super) fn since<T>(&mut self, format: u32, get: impl FnOnce(&mut Self) -> Got<T>) -> Got<Option<T>> {
        if self.format < format {
            return Ok(None);
        }
        get(self).map(Some)
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> SnapshotError {
        SnapshotError::damaged(self.table, reason)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Got<u8> {
        loop {
            if let Some(&byte) = self.blocks.rest().first() {
                self.blocks.skip(1);
                return Ok(byte);
            }
            self.blocks.next()?;
        }
    }

    pub(super) fn flag(&mut self) -> Got<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damaged(format!("{other} where 0 or 1 is due"))),
        }
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Got<[u8; N]> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    #[inline]
    pub(super) fn uint(&mut self) -> Got<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    break; // one value, one encoding
                }
                return Ok(value);
            }
        }
        Err(self.damaged("a number is not written as it should be"))
    }

    #[inline]
    pub(super) fn int(&mut self) -> Got<i64> {
        let value = self.uint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number of at most the type's width.
    pub(super) fn narrow<T: TryFrom<u64>>(&mut self) -> Got<T> {
        let value = self.uint()?;
        T::try_from(value).map_err(|_| self.damaged(format!("{value} is out of bounds")))
    }

    pub(super) fn narrow_int<T: TryFrom<i64>>(&mut self) -> Got<T> {
        let value = self.int()?;
        T::try_from(value).map_err(|_| self.damaged(format!("{value} is out of bounds")))
    }

    /// A number below `bound`: the place of something that is there.
    pub(super) fn place(&mut self, bound: usize) -> Got<usize> {
        let value = self.uint()?;
        if value >= bound as u64 {
            return Err(self.damaged(format!("it names number {value} of {bound}")));
        }
        Ok(value as usize)
    }

    /// A quantity within what sums can bear.
    pub(super) fn quantity(&mut self) -> Got<i64> {
        let value = self.int()?;
        if value.unsigned_abs() > QUANTITY_BOUND as u64 {
            return Err(self.damaged("a quantity is out of bounds"));
        }
        Ok(value)
    }

    pub(super) fn text(&mut self) -> Got<Box<str>> {
        let length = self.uint()?;
        if length > TEXT_BYTES_MAX {
            return Err(self.damaged("a text is too long"));
        }
        let mut left = length as usize;
        let mut bytes = Vec::with_capacity(left);
        while left > 0 {
            let rest = self.blocks.rest();
            let take = rest.len().min(left);
            bytes.extend_from_slice(&rest[..take]);
            self.blocks.skip(take);
            left -= take;
            if left > 0 {
                self.blocks.next()?;
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| self.damaged("a text is not UTF-8"))?;
        Ok(text.into_boxed_str())
    }

    pub(super) fn optional<T>(&mut self, get: impl FnOnce(&mut Self) -> Got<T>) -> Got<Option<T>> {
        if self.flag()? { get(self).map(Some) } else { Ok(None) }
    }

    /// A list behind its length; it grows as its entries come, never by the length alone.
    pub(super) fn list<T>(&mut self, get: impl FnMut(&mut Self) -> Got<T>) -> Got<Vec<T>> {
        let mut list: Vec<T> = self.list_into(get)?;
        list.shrink_to_fit();
        Ok(list)
    }

    /// The same into whatever the state keeps such lists in.
    pub(super) fn list_into<T, L: Default + Extend<T>>(&mut self, mut get: impl FnMut(&mut Self) -> Got<T>) -> Got<L> {
        let length = self.uint()?;
        let mut list = L::default();
        for _ in 0..length {
            list.extend(std::iter::once(get(self)?));
        }
        Ok(list)
    }

    pub(super) fn stamp(&mut self) -> Got<AsOf> {
        Ok(if self.flag()? {
            AsOf::Time(self.int()?)
        } else {
            AsOf::Sequence(self.int()?)
        })
    }

    /// The value of an enum by its number in the documents.
    pub(super) fn choice<T: Copy>(&mut self, choices: &[T]) -> Got<T> {
        let at = self.place(choices.len())?;
        Ok(choices[at])
    }
}
