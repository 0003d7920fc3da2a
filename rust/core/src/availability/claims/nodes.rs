//! A set of one SKU's nodes, made for SKUs that have few of them.
//!
//! In and out: node numbers, ascending. Always: `high` does not end in a zero word, so equal sets are equal values, and
//! sets of nodes below 64 never allocate.

const BITS: usize = 64;

/// A set of nodes of one SKU: bit n is node n. More than 64 nodes spill to a boxed slice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct NodeSet {
    low: u64,
    high: Box<[u64]>,
}

impl NodeSet {
    pub fn empty() -> Self {
        Self::default()
    }

    #[inline]
    pub fn insert(&mut self, node: usize) {
        let bit = 1 << (node % BITS);
        match node / BITS {
            0 => self.low |= bit,
            word => {
                self.widen(word);
                self.high[word - 1] |= bit;
            }
        }
    }

    #[inline]
    pub fn contains(&self, node: usize) -> bool {
        self.word(node / BITS) >> (node % BITS) & 1 == 1
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.union_with(other);
        both
    }

    #[inline]
    pub fn union_with(&mut self, other: &Self) {
        self.low |= other.low;
        if other.high.is_empty() {
            return;
        }
        self.widen(other.high.len());
        for (mine, theirs) in self.high.iter_mut().zip(&other.high) {
            *mine |= theirs;
        }
    }

    #[inline]
    pub fn intersects(&self, other: &Self) -> bool {
        self.low & other.low != 0
            || self
                .high
                .iter()
                .zip(&other.high)
                .any(|(mine, theirs)| mine & theirs != 0)
    }

    #[inline]
    pub fn is_subset(&self, of: &Self) -> bool {
        let mut high = self.high.iter().enumerate();
        self.low & !of.low == 0 && high.all(|(index, word)| word & !of.word(index + 1) == 0)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.high.is_empty()
    }

    #[inline]
    pub fn iter(&self) -> Nodes<'_> {
        Nodes {
            word: self.low,
            base: 0,
            rest: self.high.iter(),
        }
    }

    #[inline]
    fn word(&self, index: usize) -> u64 {
        match index {
            0 => self.low,
            _ => self.high.get(index - 1).copied().unwrap_or(0),
        }
    }

    /// Makes room for `words` high words. The caller fills the last one.
    fn widen(&mut self, words: usize) {
        if self.high.len() < words {
            let mut wider = std::mem::take(&mut self.high).into_vec();
            wider.resize(words, 0);
            self.high = wider.into_boxed_slice();
        }
    }
}

impl FromIterator<usize> for NodeSet {
    fn from_iter<I: IntoIterator<Item = usize>>(nodes: I) -> Self {
        let mut set = Self::empty();
        set.extend(nodes);
        set
    }
}

impl Extend<usize> for NodeSet {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, nodes: I) {
        nodes.into_iter().for_each(|node| self.insert(node));
    }
}

impl<'a> IntoIterator for &'a NodeSet {
    type Item = usize;
    type IntoIter = Nodes<'a>;

    fn into_iter(self) -> Nodes<'a> {
        self.iter()
    }
}

/// The nodes of a [`NodeSet`], ascending.
#[derive(Debug, Clone)]
pub struct Nodes<'a> {
    word: u64,
    base: usize,
    rest: std::slice::Iter<'a, u64>,
}

impl Iterator for Nodes<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.word = *self.rest.next()?;
            self.base += BITS;
        }
        let node = self.base + self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(node)
    }
}
