//! From decoded or encoded frames to a data set.

use caril_core::{CameraSpec, Image, InputSpec, NavCommand};
use caril_policy::Preprocessor;
use rayon::prelude::*;

use crate::dataset::{Dataset, Drive, Sample};

/// One frame of a drive, with its picture as it was stored.
#[derive(Debug, Clone)]
pub struct RawFrame<P> {
    /// Number of the frame: one that is not higher than the last begins another drive.
    pub frame_id: u64,
    /// Metres per second.
    pub speed_mps: f32,
    /// The navigation's command.
    pub nav: NavCommand,
    /// The expert's steer, CARLA scale.
    pub expert_steer: f32,
    /// The picture.
    pub picture: P,
}

/// Gathers frames; keeps only what the network sees of a picture, as bytes.
#[derive(Debug)]
pub struct DatasetBuilder {
    steer_scale: f32,
    preprocessor: Preprocessor,
    dataset: Dataset,
    last_id: Option<u64>,
}

impl DatasetBuilder {
    /// For pictures of `camera`; labels are expert steer / `steer_scale`, limited to [−1, 1].
    pub fn new(camera: &CameraSpec, input: InputSpec, steer_scale: f32) -> Self {
        Self {
            steer_scale,
            preprocessor: Preprocessor::new(&input, camera.width, camera.height),
            dataset: Dataset { input, drives: Vec::new() },
            last_id: None,
        }
    }

    /// Says that the next frame belongs to another drive.
    pub const fn end_drive(&mut self) {
        self.last_id = None;
    }

    /// Adds frames in time order, decoding their pictures on all threads. Frames whose speed or
    /// steer is not finite are left out.
    ///
    /// # Errors
    /// The first picture's error, or a message if it is not of the camera's size.
    pub fn push<P: Send>(
        &mut self,
        frames: Vec<RawFrame<P>>,
        decode: impl Fn(P) -> Result<Image, String> + Sync,
    ) -> Result<(), String> {
        let prepared: Result<Vec<(u64, Option<Sample>)>, String> = frames
            .into_par_iter()
            .map_init(|| self.preprocessor.clone(), |p, f| self.prepare(p, f, &decode))
            .collect();
        for (frame_id, sample) in prepared? {
            if self.last_id.is_none_or(|last| frame_id <= last) {
                self.dataset.drives.push(Drive::default());
            }
            self.last_id = Some(frame_id);
            if let Some(drive) = self.dataset.drives.last_mut() {
                drive.samples.extend(sample);
            }
        }
        Ok(())
    }

    fn prepare<P>(
        &self,
        preprocessor: &mut Preprocessor,
        frame: RawFrame<P>,
        decode: impl Fn(P) -> Result<Image, String>,
    ) -> Result<(u64, Option<Sample>), String> {
        if !(frame.speed_mps.is_finite() && frame.expert_steer.is_finite()) {
            return Ok((frame.frame_id, None));
        }
        let image = decode(frame.picture)?;
        let rgb = preprocessor.rgb(&image).ok_or_else(|| {
            let (w, h) = (image.width, image.height);
            format!("the picture of frame {} is {w}×{h}, not the camera's size", frame.frame_id)
        })?;
        let steer = (frame.expert_steer / self.steer_scale).clamp(-1.0, 1.0);
        let (speed_mps, nav) = (frame.speed_mps, frame.nav);
        Ok((frame.frame_id, Some(Sample { rgb: rgb.into(), speed_mps, nav, steer })))
    }

    /// Samples and drives so far.
    pub fn count(&self) -> (usize, usize) {
        (self.dataset.len(), self.dataset.drives.len())
    }

    /// The data set.
    pub fn finish(self) -> Dataset {
        self.dataset
    }
}

#[cfg(test)]
mod tests {
    use caril_core::PixelOrder;
    use caril_policy::Architecture;

    use super::*;

    fn frame(frame_id: u64, expert_steer: f32) -> RawFrame<u8> {
        RawFrame { frame_id, speed_mps: 3.0, nav: NavCommand::Left, expert_steer, picture: 7 }
    }

    fn builder() -> DatasetBuilder {
        let camera = CameraSpec { width: 32, height: 24, ..CameraSpec::PAPER };
        let input = InputSpec { width: 8, height: 4, ..Architecture::PilotNet.default_input() };
        DatasetBuilder::new(&camera, input, 0.25)
    }

    fn grey(value: u8) -> Result<Image, String> {
        let data = vec![value; 32 * 24 * 3];
        Ok(Image { width: 32, height: 24, order: PixelOrder::Rgb, data })
    }

    #[test]
    fn frames_become_drives_of_samples() {
        let mut b = builder();
        b.push(vec![frame(0, 0.1), frame(1, f32::NAN), frame(2, 0.9), frame(0, -0.05)], grey)
            .unwrap();
        b.push(vec![frame(1, 0.0)], grey).unwrap();
        b.end_drive();
        b.push(vec![frame(2, 0.0)], grey).unwrap();
        assert_eq!(b.count(), (5, 3));
        let data = b.finish();
        let steers = |d: &Drive| d.samples.iter().map(|s| s.steer).collect::<Vec<_>>();
        assert_eq!(steers(&data.drives[0]), [0.4, 1.0], "scaled, limited, NaN left out");
        assert_eq!(steers(&data.drives[1]), [-0.2, 0.0], "a falling id is another drive");
        assert_eq!(*data.drives[2].samples[0].rgb, [7; 96]);
    }

    #[test]
    fn a_picture_of_another_size_is_an_error() {
        let small = |_| Ok(Image { width: 1, height: 1, order: PixelOrder::Rgb, data: vec![0; 3] });
        assert!(builder().push(vec![frame(5, 0.0)], small).unwrap_err().contains("frame 5 is 1×1"));
        assert!(builder().push(vec![frame(5, 0.0)], |_| Err("torn".into())).is_err());
    }
}
