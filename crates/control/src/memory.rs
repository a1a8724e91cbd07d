//! The controller's memory as words and back, by one walk for both directions.

use caril_core::MEMORY_WORDS;

/// A walk over the words: each value is written, or set to what stands there.
pub(crate) struct Words {
    words: [u64; MEMORY_WORDS],
    next: usize,
    reads: bool,
    fits: bool,
}

impl Words {
    /// To be written.
    pub const fn writer() -> Self {
        Self { words: [0; MEMORY_WORDS], next: 0, reads: false, fits: true }
    }

    /// To be read.
    pub const fn reader(words: [u64; MEMORY_WORDS]) -> Self {
        Self { words, next: 0, reads: true, fits: true }
    }

    /// What was written.
    pub const fn words(&self) -> [u64; MEMORY_WORDS] {
        self.words
    }

    /// Whether every word was used and made sense.
    pub const fn fit(&self) -> bool {
        self.fits && self.next == MEMORY_WORDS
    }

    pub fn u64(&mut self, v: &mut u64) {
        match self.words.get_mut(self.next) {
            Some(word) if self.reads => *v = *word,
            Some(word) => *word = *v,
            None => self.fits = false,
        }
        self.next = self.next.saturating_add(1);
    }

    pub fn u32(&mut self, v: &mut u32) {
        let mut wide = u64::from(*v);
        self.u64(&mut wide);
        *v = u32::try_from(wide).unwrap_or_else(|_| {
            self.fits = false;
            0
        });
    }

    pub fn f32(&mut self, v: &mut f32) {
        let mut bits = v.to_bits();
        self.u32(&mut bits);
        *v = f32::from_bits(bits);
    }

    /// A number that is always finite.
    pub fn finite(&mut self, v: &mut f32) {
        self.f32(v);
        self.fits &= v.is_finite();
    }

    pub fn bool(&mut self, v: &mut bool) {
        self.one_of(v, &[false, true]);
    }

    pub fn option(&mut self, v: &mut Option<u64>) {
        let (mut is, mut value) = (v.is_some(), v.unwrap_or(0));
        self.bool(&mut is);
        self.u64(&mut value);
        *v = is.then_some(value);
    }

    /// A value by its place among all that it can be.
    pub fn one_of<T: Copy + PartialEq>(&mut self, v: &mut T, all: &[T]) {
        let mut k = all.iter().position(|a| a == v).unwrap_or(usize::MAX) as u64;
        self.u64(&mut k);
        match usize::try_from(k).ok().and_then(|k| all.get(k)) {
            Some(value) => *v = *value,
            None => self.fits = false,
        }
    }
}

#[cfg(test)]
mod tests;
