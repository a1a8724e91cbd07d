//! Why a measure cannot be given, and the checks that find out.

/// Why a measure cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// Nothing to measure.
    #[error("{what}: the set is empty")]
    Empty {
        /// Which set.
        what: &'static str,
    },
    /// Too little to measure.
    #[error("{what}: at least {expected} wanted, {got} given")]
    TooFew {
        /// Which set.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// Two slices that belong together differ in length.
    #[error("{what}: {expected} values wanted, {got} given")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Length of the first slice.
        expected: usize,
        /// Length of this one.
        got: usize,
    },
    /// NaN, infinite, or beyond 1e100 in magnitude, where squares and sums would overflow.
    #[error("{what}: the value at index {index} is not finite (or beyond 1e100)")]
    NotFinite {
        /// Which slice.
        what: &'static str,
        /// Where in it.
        index: usize,
    },
    /// A value outside its range.
    #[error("{what}: {expected} wanted, {got} given at index {index}")]
    OutOfRange {
        /// Which slice or argument.
        what: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        got: f64,
        /// Where in the slice; 0 for a single argument.
        index: usize,
    },
    /// A ranking needs both positives and negatives.
    #[error("{what}: positives and negatives wanted, {positives} of {total} are positive")]
    OneClass {
        /// Which measure.
        what: &'static str,
        /// Positives.
        positives: usize,
        /// All.
        total: usize,
    },
    /// The formula has no value here, for example a quotient by zero.
    #[error("{what} is undefined: {why}")]
    Undefined {
        /// Which measure.
        what: &'static str,
        /// Why.
        why: &'static str,
    },
}

/// A measure, or why there is none.
pub type Result<T> = core::result::Result<T, Error>;

/// No quantity is so large; squares of such values and sums of the squares stay finite.
const MOST: f64 = 1e100;

/// Whether arithmetic on the value stays finite.
pub(crate) fn is_finite(value: f64) -> bool {
    value.abs() <= MOST
}

/// Not empty and all finite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(Error::Empty { what });
    }
    match values.iter().position(|v| !is_finite(*v)) {
        Some(index) => Err(Error::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// As many values as the first slice has.
pub(crate) fn same_length(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

/// Not empty, and all finite and in [0, 1].
pub(crate) fn unit(what: &'static str, values: &[f64]) -> Result<()> {
    finite(what, values)?;
    match values.iter().enumerate().find(|(_, v)| !(0.0..=1.0).contains(*v)) {
        Some((index, got)) => {
            Err(Error::OutOfRange { what, expected: "a value in [0, 1]", got: *got, index })
        }
        None => Ok(()),
    }
}

/// A single finite argument above 0.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<()> {
    if (1.0 / MOST..=MOST).contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange { what, expected: "a finite value above 0", got: value, index: 0 })
}
