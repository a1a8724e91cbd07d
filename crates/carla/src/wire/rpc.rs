//! Requests and responses: MessagePack-RPC without a length prefix, as rpclib speaks it.

use rmpv::Value;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its number, echoed by the response.
    pub id: u64,
    /// The method's name.
    pub method: String,
    /// Arguments without the leading metadata.
    pub args: Vec<Value>,
    /// How many came with it, the metadata included: rpclib names this number in its errors.
    pub arg_count: usize,
}

/// Reads one whole request `[0, id, method, [[asynchronous], args…]]`. `None` if it is no such
/// thing: the peer speaks something else.
pub fn read_request(mut bytes: &[u8]) -> Option<Request> {
    let value = rmpv::decode::read_value_with_max_depth(&mut bytes, super::MAX_DEPTH + 2).ok()?;
    let Value::Array(parts) = value else { return None };
    let [kind, id, method, args] = <[Value; 4]>::try_from(parts).ok()?;
    if kind.as_u64() != Some(0) {
        return None;
    }
    let Value::Array(mut args) = args else { return None };
    let arg_count = args.len();
    if !args.is_empty() {
        args.remove(0);
    }
    Some(Request { id: id.as_u64()?, method: method.as_str()?.to_owned(), args, arg_count })
}

/// Writes `[1, id, error, result]` behind `out`.
pub fn respond(id: u64, result: Result<Value, String>, out: &mut Vec<u8>) {
    let (error, result) = match result {
        Ok(value) => (Value::Nil, value),
        Err(text) => (Value::from(text), Value::Nil),
    };
    let response = Value::Array(vec![Value::from(1), Value::from(id), error, result]);
    // Writing to memory does not fail.
    let _ = rmpv::encode::write_value(out, &response);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{nothing, said, value};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn responses_are_the_bytes_that_the_client_was_seen_to_accept() {
        let bytes = |id, result| {
            let mut out = Vec::new();
            respond(id, result, &mut out);
            hex(&out)
        };
        assert_eq!(bytes(1, Ok(value("0.9.16"))), "940101c0919201a6302e392e3136");
        assert_eq!(bytes(36, Ok(nothing())), "940124c09191c2");
        assert_eq!(bytes(12, Ok(value(115))), "94010cc091920173");
        assert_eq!(bytes(5, Ok(value(Value::Array(Vec::new())))), "940105c091920190");
        assert_eq!(bytes(7, Ok(said("no", false))), "940107c0919200".to_owned() + "91a26e6f");
        assert_eq!(bytes(7, Ok(said("no", true))), "940107c09192c3".to_owned() + "91a26e6f");
    }

    #[test]
    fn requests_of_the_genuine_client_are_read() {
        let r = read_request(b"\x94\x00\x01\xa7version\x91\x91\xc2").unwrap();
        assert_eq!((r.id, r.method.as_str(), r.args.len(), r.arg_count), (1, "version", 0, 1));
        for bad in [b"\x01".as_slice(), b"\x90", b"\x94\x02\x01\xa1x\x90", b"\x94\x00\xa1x\x01\x90"]
        {
            assert_eq!(read_request(bad), None, "{bad:?}");
        }
    }
}
