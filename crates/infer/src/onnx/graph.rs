//! An ONNX graph: nodes, weights, inputs and outputs, collected one by one.

use super::proto::Message;

/// Type of a tensor's elements (`TensorProto.DataType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// FLOAT
    F32 = 1,
    /// INT64
    I64 = 7,
}

/// An attribute of a node.
#[derive(Debug, Clone)]
pub enum Attribute {
    /// INT
    Int(&'static str, i64),
    /// INTS
    Ints(&'static str, Vec<i64>),
}

impl Attribute {
    fn message(&self) -> Message {
        match self {
            Self::Int(name, value) => {
                Message::new().bytes(1, name.as_bytes()).number(3, *value).number(20, 2)
            }
            Self::Ints(name, values) => values
                .iter()
                .fold(Message::new().bytes(1, name.as_bytes()), |m, v| m.number(8, *v))
                .number(20, 7),
        }
    }
}

/// A graph under construction. Values are named `v1`, `v2`, …; weights `w1`, `w2`, ….
#[derive(Debug, Default)]
pub struct Graph {
    body: Message,
    values: usize,
    weights: usize,
}

impl Graph {
    fn push(&mut self, field: u32, message: Message) {
        self.body = std::mem::take(&mut self.body).message(field, message);
    }

    /// A weight of a shape; its name.
    pub fn weight(&mut self, shape: &[usize], values: &[f32]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(Element::F32, shape, &bytes)
    }

    /// A list of whole numbers; its name.
    pub fn numbers(&mut self, values: &[i64]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(Element::I64, &[values.len()], &bytes)
    }

    fn tensor(&mut self, element: Element, shape: &[usize], bytes: &[u8]) -> String {
        self.weights += 1;
        let name = format!("w{}", self.weights);
        let dims = shape.iter().fold(Message::new(), |m, d| m.number(1, *d as i64));
        self.push(5, dims.number(2, element as i64).bytes(8, name.as_bytes()).bytes(9, bytes));
        name
    }

    /// A node with one output; its name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        self.values += 1;
        let name = format!("v{}", self.values);
        self.node_to(operator, inputs, &[&name], attributes);
        name
    }

    /// A node whose outputs have names.
    pub fn node_to(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Attribute],
    ) {
        let node = inputs.iter().fold(Message::new(), |m, i| m.bytes(1, i.as_bytes()));
        let node = outputs.iter().fold(node, |m, o| m.bytes(2, o.as_bytes()));
        let name = format!("{operator}_{}", outputs.first().copied().unwrap_or_default());
        let node = node.bytes(3, name.as_bytes()).bytes(4, operator.as_bytes());
        let node = attributes.iter().fold(node, |m, a| m.message(5, a.message()));
        self.push(1, node);
    }

    fn value(name: &str, element: Element, shape: &[usize]) -> Message {
        let shape = shape
            .iter()
            .fold(Message::new(), |m, d| m.message(1, Message::new().number(1, *d as i64)));
        let tensor = Message::new().number(1, element as i64).message(2, shape);
        Message::new().bytes(1, name.as_bytes()).message(2, Message::new().message(1, tensor))
    }

    /// An input of the graph.
    pub fn input(&mut self, name: &str, element: Element, shape: &[usize]) {
        self.push(11, Self::value(name, element, shape));
    }

    /// An output of the graph, f32.
    pub fn output(&mut self, name: &str, shape: &[usize]) {
        self.push(12, Self::value(name, Element::F32, shape));
    }

    /// The file: opset 17, with (name, value) pairs of metadata.
    pub fn model(self, name: &str, metadata: &[(&str, String)]) -> Vec<u8> {
        let opset = Message::new().bytes(1, b"").number(2, 17);
        let model = Message::new()
            .number(1, 8)
            .bytes(2, b"caril")
            .bytes(3, env!("CARGO_PKG_VERSION").as_bytes())
            .message(7, self.body.bytes(2, name.as_bytes()))
            .message(8, opset);
        let pair = |m: Message, (key, value): &(&str, String)| {
            m.message(14, Message::new().bytes(1, key.as_bytes()).bytes(2, value.as_bytes()))
        };
        metadata.iter().fold(model, pair).into_bytes()
    }
}
