//! Layers out of a file's tensors: shapes are checked, BatchNorm is folded in.

use std::collections::BTreeMap;

use caril_core::CounterRng;

use crate::bpk::Tensor;

/// A convolution's weights `[outputs][inputs][kernel][kernel]` and one bias per output.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Output channels.
    pub outputs: usize,
    /// Input channels; 1 if depthwise.
    pub inputs: usize,
    /// Side of the window.
    pub kernel: usize,
    values: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
}

impl Filter {
    /// `[outputs][inputs][row][column]`
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// ((output, input), (row, column), value) of every weight.
    pub fn iter(&self) -> impl Iterator<Item = ((usize, usize), (usize, usize), f32)> {
        let window = self.kernel * self.kernel;
        self.values.iter().enumerate().map(move |(n, value)| {
            let (channels, tap) = (n / window, n % window);
            let channels = (channels / self.inputs, channels % self.inputs);
            (channels, (tap / self.kernel, tap % self.kernel), *value)
        })
    }
}

/// A dense layer's weights `[inputs][outputs]` and one bias per output.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Rows.
    pub inputs: usize,
    /// Columns.
    pub outputs: usize,
    /// Row by row.
    pub values: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
}

impl Matrix {
    /// Zeros.
    pub fn zeros(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, values: vec![0.0; inputs * outputs], bias: vec![0.0; outputs] }
    }

    /// Copies another matrix into this one, its first value to (row, column).
    pub fn put(&mut self, other: &Self, row: usize, column: usize) {
        let rows = self.values.chunks_exact_mut(self.outputs).skip(row);
        for (to, from) in rows.zip(other.values.chunks_exact(other.outputs)) {
            to.iter_mut().skip(column).zip(from).for_each(|(to, from)| *to = *from);
        }
        self.bias.iter_mut().skip(column).zip(&other.bias).for_each(|(to, from)| *to = *from);
    }

    /// Some of its columns.
    pub fn columns(&self, first: usize, count: usize) -> Self {
        let cut = |row: &[f32]| row.iter().skip(first).take(count).copied().collect::<Vec<_>>();
        let values = self.values.chunks_exact(self.outputs).flat_map(cut).collect();
        Self { inputs: self.inputs, outputs: count, values, bias: cut(&self.bias) }
    }

    /// Some of its rows, all of its bias.
    pub fn rows(&self, first: usize, count: usize) -> Self {
        let rows = self.values.iter().skip(first * self.outputs).take(count * self.outputs);
        Self { inputs: count, values: rows.copied().collect(), ..self.clone() }
    }

    /// Takes rows from where `from` says: new row i is old row `from(i)`.
    pub fn reorder(&self, from: impl Fn(usize) -> usize) -> Self {
        let mut sorted = Self { bias: self.bias.clone(), ..Self::zeros(self.inputs, self.outputs) };
        for (i, row) in sorted.values.chunks_exact_mut(self.outputs).enumerate() {
            if let Some(old) = self.values.chunks_exact(self.outputs).nth(from(i)) {
                row.copy_from_slice(old);
            }
        }
        sorted
    }
}

/// The tensors of a file, taken out one by one.
#[derive(Debug)]
pub struct Tensors {
    all: BTreeMap<String, Tensor>,
    prefix: &'static str,
    /// Values are made up, and what was asked for is kept.
    invent: Option<(u64, BTreeMap<String, Tensor>)>,
}

impl Tensors {
    /// `prefix` begins every name.
    pub const fn new(all: BTreeMap<String, Tensor>, prefix: &'static str) -> Self {
        Self { all, prefix, invent: None }
    }

    /// Tensors of whatever name and shape is asked for, with random values from `seed`.
    pub const fn inventing(prefix: &'static str, seed: u64) -> Self {
        Self { all: BTreeMap::new(), prefix, invent: Some((seed, BTreeMap::new())) }
    }

    /// What was made up.
    pub fn invented(self) -> BTreeMap<String, Tensor> {
        self.invent.map_or_else(BTreeMap::new, |(_, made)| made)
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let name = format!("{}.{name}", self.prefix);
        if let Some((seed, made)) = &mut self.invent {
            let values = random(&name, shape, *seed, made.len() as u64);
            made.insert(name, Tensor { shape: shape.to_vec(), values: values.clone() });
            return Ok(values);
        }
        let tensor = self.all.remove(&name).ok_or_else(|| format!("{name} is missing"))?;
        if tensor.shape != shape {
            return Err(format!("{name}: expected shape {shape:?}, found {:?}", tensor.shape));
        }
        match tensor.values.iter().all(|v| v.is_finite()) {
            true => Ok(tensor.values),
            false => Err(format!("{name} holds a weight that is not finite")),
        }
    }

    /// A convolution with a bias.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape or holds a number that is not finite.
    pub fn conv(&mut self, name: &str, shape: [usize; 3]) -> Result<Filter, String> {
        let [outputs, inputs, kernel] = shape;
        let values = self.take(&format!("{name}.weight"), &[outputs, inputs, kernel, kernel])?;
        let bias = self.take(&format!("{name}.bias"), &[outputs])?;
        Ok(Filter { outputs, inputs, kernel, values, bias })
    }

    /// A convolution without a bias and the normalisation after it, as one convolution.
    ///
    /// # Errors
    /// As [`Self::conv`], and if folding overflows.
    pub fn conv_norm(
        &mut self,
        conv: &str,
        norm: &str,
        shape: [usize; 3],
        epsilon: f64,
    ) -> Result<Filter, String> {
        let [outputs, inputs, kernel] = shape;
        let mut values =
            self.take(&format!("{conv}.weight"), &[outputs, inputs, kernel, kernel])?;
        let mut vector = |what: &str| self.take(&format!("{norm}.{what}"), &[outputs]);
        let (gamma, beta) = (vector("gamma")?, vector("beta")?);
        let (mean, variance) = (vector("running_mean")?, vector("running_var")?);
        let mut bias = Vec::with_capacity(outputs);
        let vectors = gamma.iter().zip(&beta).zip(&mean).zip(&variance);
        for ((((gamma, beta), mean), variance), weights) in
            vectors.zip(values.chunks_exact_mut(inputs * kernel * kernel))
        {
            let factor = f64::from(*gamma) / libm::sqrt(f64::from(*variance) + epsilon);
            weights.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
            bias.push((f64::from(*beta) - f64::from(*mean) * factor) as f32);
        }
        match values.iter().chain(&bias).all(|v| v.is_finite()) {
            true => Ok(Filter { outputs, inputs, kernel, values, bias }),
            false => Err(format!("{norm} makes weights that are not finite")),
        }
    }

    /// A dense layer.
    ///
    /// # Errors
    /// As [`Self::conv`].
    pub fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Matrix, String> {
        let values = self.take(&format!("{name}.weight"), &[inputs, outputs])?;
        let bias = self.take(&format!("{name}.bias"), &[outputs])?;
        Ok(Matrix { inputs, outputs, values, bias })
    }

    /// # Errors
    /// If a tensor was not taken.
    pub fn finish(self) -> Result<(), String> {
        match self.all.keys().next() {
            Some(name) => Err(format!("{name} has no place")),
            None => Ok(()),
        }
    }
}

/// Values that keep activations of order one: uniform with the variance 2 / inputs for weights,
/// near 1 for what normalisation multiplies with or divides by, near 0 for what it adds.
fn random(name: &str, shape: &[usize], seed: u64, number: u64) -> Vec<f32> {
    let mut rng = CounterRng::new(seed, number);
    let mut draw = |middle: f64, width: f64| {
        let count = shape.iter().product();
        (0..count).map(|_| rng.range(middle - width, middle + width) as f32).collect()
    };
    let inputs = match shape {
        [_, inputs @ ..] if shape.len() == 4 => inputs.iter().product::<usize>(),
        [inputs, _] => *inputs,
        // Onto a shortcut: the sum must not grow from block to block.
        _ if name.ends_with("convs.2.bn.gamma") => return draw(0.3, 0.05),
        _ if name.ends_with("gamma") || name.ends_with("running_var") => return draw(1.0, 0.15),
        _ => return draw(0.0, 0.15),
    };
    draw(0.0, libm::sqrt(6.0 / inputs.max(1) as f64))
}
