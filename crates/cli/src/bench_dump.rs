//! What `caril bench infer --dump` leaves for other runtimes: networks, pictures, predictions.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use caril_core::{Frame, PolicyCard, Prediction, Preprocessor, branch_of};

/// Files of one pack: `NAME.onnx`, `NAME.rgb` (one picture after the other as the network gets it
/// before normalisation, `[height][width][3]` bytes) and `NAME.jsonl` (`speed`, `branch`,
/// `regression`, `probs` of each).
pub struct Dump {
    preprocessor: Preprocessor,
    speed_scale_mps: Option<f32>,
    pictures: BufWriter<File>,
    lines: BufWriter<File>,
}

impl Dump {
    /// Writes the network and begins the others.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn create(
        folder: &Path,
        name: &str,
        pack: &Path,
        card: &PolicyCard,
    ) -> anyhow::Result<Self> {
        let model = folder.join(name).with_extension("onnx");
        std::fs::write(&model, caril_infer::export_onnx(pack)?)
            .with_context(|| format!("cannot write {}", model.display()))?;
        let begin = |end: &str| {
            let path = model.with_extension(end);
            let file = File::create(&path);
            file.map(BufWriter::new).with_context(|| format!("cannot write {}", path.display()))
        };
        Ok(Self {
            preprocessor: Preprocessor::for_card(card),
            speed_scale_mps: card.inputs.speed_scale_mps,
            pictures: begin("rgb")?,
            lines: begin("jsonl")?,
        })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn add(&mut self, frame: &Frame, said: &Prediction) -> anyhow::Result<()> {
        let rgb = self.preprocessor.rgb(&frame.image).context("a picture of another size")?;
        self.pictures.write_all(rgb)?;
        let line = serde_json::json!({
            "speed": self.speed_scale_mps.map_or(0.0, |scale| frame.ego.speed_mps / scale),
            "branch": branch_of(frame.nav),
            "regression": said.regression(),
            "probs": said.probs(),
        });
        Ok(writeln!(self.lines, "{line}")?)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.pictures.flush()?;
        Ok(self.lines.flush()?)
    }
}
