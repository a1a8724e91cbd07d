//! No allocation in `infer`, on one thread and on two, whatever the frame.

mod common;

use caril_core::{Fault, Frame, Lift, Policy as _};
use caril_infer::{CpuPolicy, Isa, Options};
use caril_policy::Architecture;
use caril_tests::{Counting, allocator_calls_everywhere};
use common::{camera, frame, save, spec};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test only: another one at the same time would be counted, too.
#[test]
fn infer_does_not_allocate() {
    for architecture in [Architecture::PilotNet, Architecture::EfficientNetLite0] {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), architecture, spec(architecture, 40, 40));
        let mut frames: Vec<Frame> = (0..6).map(|i| frame(&camera(), i, 256)).collect();
        frames[2].ego.speed_mps = f32::NAN;
        let lift = Lift::of(20.0);
        frames[3].image.data.pop();
        for threads in [1, 2] {
            for isa in [Isa::best(), Isa::Portable] {
                let mut policy = CpuPolicy::load(dir.path(), Options { threads, isa }).unwrap();
                let before = allocator_calls_everywhere();
                let good = frames.iter().filter(|frame| policy.infer(frame).is_ok()).count();
                let again = policy.look_again(&frames[0], &lift).is_ok();
                let bad = policy.infer(&frames[3]) == Err(Fault::ImageMalformed);
                let after = allocator_calls_everywhere();
                assert_eq!(after - before, 0, "{architecture:?} {threads} {isa:?}");
                assert!(good >= 4 && bad && again);
            }
        }
    }
}
