//! Reading and writing little-endian fields with every bound checked.

use caril_core::{Field, Number};

use super::{CodecError, HEADER_LEN, Kind, MAGIC, WIRE_VERSION};

/// Takes fields off the front of a slice.
pub(super) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.left.split_first_chunk::<N>()?;
        self.left = tail;
        Some(*head)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let got = self.left.len();
        self.bytes().ok_or(CodecError::Length { expected: N, got })
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(u8::from_le_bytes(self.take()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub(super) fn f32(&mut self) -> Result<f32, CodecError> {
        Ok(f32::from_le_bytes(self.take()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, CodecError> {
        Ok(f64::from_le_bytes(self.take()?))
    }

    /// Fills numbers in their order.
    pub(super) fn fields<const N: usize>(
        &mut self,
        fields: [Field<'_>; N],
    ) -> Result<(), CodecError> {
        for field in fields {
            match field.value {
                Number::U32(v) => *v = self.u32()?,
                Number::F32(v) => *v = self.f32()?,
                Number::F64(v) => *v = self.f64()?,
            }
        }
        Ok(())
    }

    /// Reserved bytes: zero in this version.
    pub(super) fn zeros<const N: usize>(&mut self) -> Result<(), CodecError> {
        match self.take::<N>()? {
            z if z == [0; N] => Ok(()),
            _ => Err(CodecError::Field { field: "reserved" }),
        }
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.left
    }
}

/// Puts fields at the front of a slice. Whoever makes one has checked the length; a field that
/// does not fit is left out rather than panicking.
pub(super) struct Writer<'a> {
    left: &'a mut [u8],
}

impl<'a> Writer<'a> {
    /// A writer that has written the header; `out` is exactly the message.
    pub(super) fn message(out: &'a mut [u8], kind: Kind, flags: u8, session: u32) -> Self {
        let body = out.len().saturating_sub(HEADER_LEN) as u32;
        let mut w = Self { left: out };
        w.put(&MAGIC);
        w.put(&WIRE_VERSION.to_le_bytes());
        w.put(&[kind as u8, flags]);
        w.put(&session.to_le_bytes());
        w.put(&body.to_le_bytes());
        w
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        let left = core::mem::take(&mut self.left);
        if let Some((head, tail)) = left.split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.left = tail;
        }
    }

    pub(super) fn u32(&mut self, v: u32) {
        self.put(&v.to_le_bytes());
    }

    pub(super) fn u64(&mut self, v: u64) {
        self.put(&v.to_le_bytes());
    }

    pub(super) fn f32(&mut self, v: f32) {
        self.put(&v.to_le_bytes());
    }

    /// Numbers in their order.
    pub(super) fn fields<const N: usize>(&mut self, fields: [Field<'_>; N]) {
        for field in fields {
            field.value.put_le(|bytes| self.put(bytes));
        }
    }
}
