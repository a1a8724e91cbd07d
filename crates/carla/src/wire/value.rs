//! Reading arguments and wrapping results.

use rmpv::Value;

/// Why a call is not answered with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// CARLA's own error: the client raises `RuntimeError` with this text.
    Said(String),
    /// An argument of the wrong type, as rpclib reports it.
    BadCast,
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        Self::Said(text.to_owned())
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

/// A list of values.
pub fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(items.into_iter().map(Into::into).collect())
}

/// `Response<T>` with a value.
pub fn value(v: impl Into<Value>) -> Value {
    Value::Array(vec![Value::Array(vec![Value::from(1), v.into()])])
}

/// `Response<void>`.
pub fn nothing() -> Value {
    Value::Array(vec![Value::Array(vec![Value::from(false)])])
}

/// A response that is an error: of `Response<void>` if `void`, else of `Response<T>`.
pub fn said(text: &str, void: bool) -> Value {
    let mark = if void { Value::from(true) } else { Value::from(0) };
    Value::Array(vec![Value::Array(vec![mark, list([text])])])
}

/// The fields of a struct on the wire: an array whose missing fields have defaults.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a [Value]);

impl<'a> Fields<'a> {
    /// Of a list of values.
    pub fn new(values: &'a [Value]) -> Self {
        Self(values)
    }

    /// Of an array.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(value: &'a Value) -> Result<Self, Trouble> {
        value.as_array().map(|v| Self(v)).ok_or(Trouble::BadCast)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.0.iter()
    }

    /// One of them.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn at(&self, i: usize) -> Result<&'a Value, Trouble> {
        self.0.get(i).ok_or(Trouble::BadCast)
    }

    /// A struct within.
    ///
    /// # Errors
    /// If it is missing or no array.
    pub fn fields(&self, i: usize) -> Result<Self, Trouble> {
        Self::of(self.at(i)?)
    }

    /// A finite number; 0 if missing.
    ///
    /// # Errors
    /// If it is no number or not finite.
    pub fn f64(&self, i: usize) -> Result<f64, Trouble> {
        let Some(v) = self.0.get(i) else { return Ok(0.0) };
        // rmpv answers `as_f64` for integers too.
        let v = v.as_f64().ok_or(Trouble::BadCast)?;
        if v.is_finite() { Ok(v) } else { Err("expected a finite number".into()) }
    }

    /// A whole number that is not negative; 0 if missing.
    ///
    /// # Errors
    /// If it is none.
    pub fn u32(&self, i: usize) -> Result<u32, Trouble> {
        let Some(v) = self.0.get(i) else { return Ok(0) };
        v.as_u64().and_then(|v| u32::try_from(v).ok()).ok_or(Trouble::BadCast)
    }

    /// A whole number; 0 if missing.
    ///
    /// # Errors
    /// If it is none.
    pub fn i32(&self, i: usize) -> Result<i32, Trouble> {
        let Some(v) = self.0.get(i) else { return Ok(0) };
        v.as_i64().and_then(|v| i32::try_from(v).ok()).ok_or(Trouble::BadCast)
    }

    /// A truth value; false if missing.
    ///
    /// # Errors
    /// If it is none.
    pub fn bool(&self, i: usize) -> Result<bool, Trouble> {
        let Some(v) = self.0.get(i) else { return Ok(false) };
        v.as_bool().ok_or(Trouble::BadCast)
    }

    /// A text.
    ///
    /// # Errors
    /// If it is missing or none.
    pub fn text(&self, i: usize) -> Result<&'a str, Trouble> {
        self.at(i)?.as_str().ok_or(Trouble::BadCast)
    }

    /// Three finite numbers.
    ///
    /// # Errors
    /// If they are none.
    pub fn vector(&self, i: usize) -> Result<[f64; 3], Trouble> {
        let v = self.fields(i)?;
        Ok([v.f64(0)?, v.f64(1)?, v.f64(2)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_as_any_type_and_missing_fields_are_defaults() {
        let v = [Value::F32(0.5), Value::F64(0.25), Value::from(3), Value::from(-1)];
        let f = Fields::new(&v);
        assert_eq!((f.f64(0), f.f64(1), f.f64(2), f.f64(9)), (Ok(0.5), Ok(0.25), Ok(3.0), Ok(0.0)));
        assert_eq!((f.i32(3), f.u32(3), f.u32(9)), (Ok(-1), Err(Trouble::BadCast), Ok(0)));
        assert_eq!(f.bool(0), Err(Trouble::BadCast));
        let nan = [Value::F64(f64::NAN)];
        assert!(matches!(Fields::new(&nan).f64(0), Err(Trouble::Said(_))));
    }
}
