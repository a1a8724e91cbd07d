//! The ONNX export: whole, the same each time, and with what a runtime must know. That runtimes
//! compute the same from it is checked by benches/peers/compare.py, which has some.

use caril_core::{Architecture, CameraSpec};
use caril_infer::{export_onnx, invent_pack};

/// Reads one varint; the rest.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let (mut value, mut shift, mut rest) = (0, 0, bytes);
    while let [byte, more @ ..] = rest {
        value |= u64::from(byte & 0x7F) << shift;
        (shift, rest) = (shift + 7, more);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value, rest)
}

/// The fields of a message: number, and bytes if it is delimited by a length.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (tag, rest) = varint(bytes);
        let (value, rest) = varint(rest);
        match tag & 7 {
            0 => {
                fields.push((tag >> 3, &[][..]));
                bytes = rest;
            }
            2 => {
                let (body, rest) = rest.split_at(value as usize);
                fields.push((tag >> 3, body));
                bytes = rest;
            }
            kind => panic!("wire type {kind}"),
        }
    }
    fields
}

fn named<'a>(fields: &[(u64, &'a [u8])], field: u64) -> Vec<&'a [u8]> {
    fields.iter().filter(|f| f.0 == field).map(|f| f.1).collect()
}

#[test]
fn models_are_whole() {
    for architecture in Architecture::ALL {
        let dir = tempfile::tempdir().unwrap();
        let input = architecture.default_input();
        invent_pack(dir.path(), architecture, &CameraSpec::PAPER, input, 1).unwrap();
        let bytes = export_onnx(dir.path()).unwrap();
        assert_eq!(bytes, export_onnx(dir.path()).unwrap());
        let model = fields(&bytes);
        let graph = fields(named(&model, 7)[0]);
        // Every value that a node reads is an input, a weight or the output of a node before.
        let mut known: Vec<&[u8]> = Vec::new();
        for (field, name) in [(11, 1), (5, 8)] {
            known.extend(named(&graph, field).iter().map(|m| named(&fields(m), name)[0]));
        }
        let nodes = named(&graph, 1);
        assert!(nodes.len() > 10);
        for node in nodes {
            let node = fields(node);
            for input in named(&node, 1) {
                assert!(known.contains(&input), "{:?}", String::from_utf8_lossy(input));
            }
            known.extend(named(&node, 2));
        }
        for output in named(&graph, 12) {
            assert!(known.contains(&named(&fields(output), 1)[0]));
        }
        let metadata: Vec<&[u8]> =
            named(&model, 14).iter().map(|m| named(&fields(m), 1)[0]).collect();
        assert!(metadata.contains(&b"caril.input.scale".as_slice()));
    }
}
