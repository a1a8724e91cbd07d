//! Synthetic drives for the report.

use caril_core::{
    CameraSpec, Command, Correction, EgoState, Fault, FaultSet, FrameId, Mode, Pacing, PlantInfo,
    Pose, Regime, StageTimes, StepRecord, Truth,
};
use serde_json::{Value, json};

use super::{ReportInput, least_confident, page, write_report};

fn plant() -> PlantInfo {
    PlantInfo {
        name: "synthetic 1.0".to_owned(),
        map: "<b>town & country</b>".to_owned(),
        weather: "ClearNoon".to_owned(),
        camera: CameraSpec::PAPER,
        rate_hz: 20.0,
        pacing: Pacing::Lockstep,
        route: (0..100).map(|i| (i as f32, (i as f32 * 0.1).sin() * 10.0)).collect(),
    }
}

fn step(i: u64) -> StepRecord {
    let t = i as f64 * 0.05;
    let confidence = if i % 100 == 50 { 0.3 + i as f32 * 1e-4 } else { 0.97 };
    let mut probs = [0.01; 11];
    probs[5] = 0.9;
    StepRecord {
        frame_id: FrameId(i + 7),
        sim_time_ns: i * 50_000_000,
        dropped: 0,
        ego: EgoState {
            speed_mps: 8.0,
            accel_mps2: 0.0,
            yaw_rate_radps: 0.0,
            pose: Pose { x_m: 4.0 * t, y_m: (0.4 * t).sin() * 10.0, ..Pose::default() },
        },
        nav: caril_core::NavCommand::Follow,
        advisory_speed_mps: 10.0,
        predicted: true,
        regression: 0.1,
        probs,
        confidence: 0.9,
        entropy_nats: 0.4,
        neighbour_mass: confidence,
        correction: Correction {
            steer: 0.1,
            regime: if confidence < 0.8 { Regime::Fused } else { Regime::Kept },
            speed_cap_mps: if confidence < 0.8 { 5.0 } else { f32::INFINITY },
            confidence,
            sigma: 0.1,
        },
        steer_raw: 0.025,
        steer_corrected: if confidence < 0.8 { 0.02 } else { 0.025 },
        target_speed_mps: 9.0,
        command: Command { frame_id: FrameId(i + 7), steer: 0.02, ..Command::default() },
        mode: Mode::Nominal,
        faults: FaultSet::EMPTY,
        truth: Some(Truth {
            expert_steer: 0.01,
            lane_deviation_m: 0.2,
            route_completion: 100.0,
            ..Truth::default()
        }),
        times: StageTimes { ns: [1_000_000; 6], age_ns: 5_000_000, ..StageTimes::default() },
        ..StepRecord::default()
    }
}

fn page_of(steps: &[StepRecord], summary: &Value, pictures: &[(FrameId, Vec<u8>)]) -> String {
    let plant = plant();
    page(&ReportInput {
        title: "A <script>alert(1)</script> drive",
        command_line: "caril drive --map 'a&b'",
        plant: &plant,
        card: None,
        map: None,
        steps,
        summary,
        pictures,
    })
}

/// What a broken number would look like in the page, and whether tags that were opened close.
fn assert_sound(page: &str) {
    let drawing = page.split("<script>").next().unwrap_or_default();
    for bad in ["NaN", ">inf<", " inf ", "\"inf\"", "-inf", "inf%", "inf&"] {
        assert!(!drawing.contains(bad), "{bad} in the page");
    }
    let xml = drawing.split("<body>").nth(1).unwrap_or_default();
    for tag in ["div", "svg", "section", "figure", "span", "article", "p", "table", "small"] {
        let opened =
            xml.matches(&format!("<{tag}>")).count() + xml.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, xml.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
}

#[test]
fn least_confident_moments_are_apart_and_in_order() {
    let steps: Vec<_> = (0..1000).map(step).collect();
    let ids = least_confident(&steps, 4);
    assert_eq!(ids, [57, 157, 257, 357].map(FrameId));
    // Two neighbours both in doubt are one moment.
    let mut steps: Vec<_> = (0..60).map(step).collect();
    steps[51].correction.confidence = 0.2;
    assert_eq!(least_confident(&steps, 6).first(), Some(&FrameId(58)));
    assert!(!least_confident(&steps, 6).contains(&FrameId(57)));
    assert!(least_confident(&steps, 0).is_empty());
    assert!(least_confident(&[], 6).is_empty());
}

#[test]
fn steps_without_confidence_are_no_moments() {
    let mut steps: Vec<_> = (0..3).map(|i| step(i * 100)).collect();
    steps[0].predicted = false;
    steps[1].correction.confidence = f32::NAN;
    assert_eq!(least_confident(&steps, 6), [FrameId(207)]);
}

#[test]
fn a_drive_is_told_and_nothing_outside_is_needed() {
    let steps: Vec<_> = (0..1000).map(step).collect();
    let page = page_of(&steps, &json!({"loop_ms": {"p99": 12.34}}), &[]);
    assert_sound(&page);
    assert!(page.contains("The car drove the whole route without touching anything"));
    assert!(page.contains("12.3<em>ms"));
    assert!(page.contains("which brought the steer nearer to the expert’s in 100 % of them"));
    for outside in ["http://", "https://", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn second_looks_are_told_with_the_classes_that_counted() {
    let page_with = |regime| {
        let mut steps: Vec<_> = (0..60).map(step).collect();
        steps[50].second_look = true;
        steps[50].second_probs[9] = 0.875;
        steps[50].correction.regime = regime;
        page_of(&steps, &json!({}), &[])
    };
    let page = page_with(Regime::SecondLook);
    assert!(page.contains("The picture is dark; what the network said"));
    assert!(page.contains(": 0.875"), "the second look’s classes");
    assert!(page.contains("second look, brightened"), "in the legend");
    let old = page_with(Regime::Fused);
    assert!(old.contains("a steer made of both heads’"), "of recordings from before");
}

#[test]
fn of_a_long_drive_the_totals_are_those_of_all_steps() {
    let steps: Vec<_> = (0..100).map(step).collect();
    let summary = json!({
        "frames": 40_000, "corrected_share": 0.25, "faults": {"image_black": 3, "frame_gap": 0},
        "modes": {"nominal": 30_000, "degraded": 10_000, "safe_stop": 0},
    });
    let page = page_of(&steps, &summary, &[]);
    assert_sound(&page);
    assert!(page.contains("<b>40000</b> steps") && page.contains("from <b>100</b> of them"));
    assert!(page.contains("fault: image black (3 steps)") && !page.contains("no fault occurred"));
    assert!(!page.contains("frame gap"), "it did not occur");
    assert!(page.contains("changed 25.0 % of the steps"));
    assert!(page.contains("25.0 % of all steps ran degraded"));
}

#[test]
fn foreign_text_is_escaped() {
    let page = page_of(&[step(0)], &json!({"record": "</pre><img src=x>"}), &[]);
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x>"));
    assert!(page.contains("&lt;script&gt;alert") && page.contains("&lt;b&gt;town &amp; country"));
    assert!(page.contains("--map &#39;a&amp;b&#39;"));
}

#[test]
fn nothing_driven_is_said() {
    for summary in [json!(null), json!({}), json!({"modes": 3, "loop_ms": [], "frames": "x"})] {
        let page = page_of(&[], &summary, &[]);
        assert_sound(&page);
        assert!(page.contains("Nothing was driven"));
    }
}

#[test]
fn no_truth_and_broken_numbers_do_not_break_the_page() {
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0];
    let steps: Vec<_> = (0..300)
        .map(|i| {
            let v = bad[i as usize % bad.len()];
            let mut s = step(i);
            s.ego.speed_mps = v;
            s.ego.pose.x_m = f64::from(v);
            s.steer_raw = v;
            s.steer_corrected = -v;
            s.command.steer = v;
            s.probs = [v; 11];
            s.confidence = v;
            s.entropy_nats = v;
            s.target_speed_mps = v;
            s.correction.confidence = v;
            s.correction.speed_cap_mps = v;
            s.predicted = i % 3 != 0;
            s.times = StageTimes { ns: [u64::MAX; 6], age_ns: u64::MAX, ..StageTimes::default() };
            s.truth = (i % 2 == 0).then_some(Truth {
                expert_steer: v,
                lane_deviation_m: v,
                route_completion: v,
                off_road_m: v,
                ..Truth::default()
            });
            s
        })
        .collect();
    assert_sound(&page_of(&steps, &json!({}), &[(FrameId(8), vec![1, 2, 3])]));
    let blind: Vec<_> = (0..50).map(|i| StepRecord { truth: None, ..step(i) }).collect();
    let page = page_of(&blind, &json!({}), &[]);
    assert_sound(&page);
    assert!(page.contains("not known for this drive"));
    // Time that stands still or runs backwards.
    let back: Vec<_> = (0..50).map(|i| StepRecord { sim_time_ns: 9 - i % 5, ..step(i) }).collect();
    assert_sound(&page_of(&back, &json!({}), &[]));
    assert_sound(&page_of(&[step(3)], &json!({}), &[]));
}

#[test]
fn a_fault_of_one_step_is_seen_in_a_long_drive() {
    let mut steps: Vec<_> = (0..20_000).map(step).collect();
    steps[11_111].faults = FaultSet::of(Fault::ImageBlack);
    steps[11_111].mode = Mode::SafeStop;
    steps[15_555].command.steer = 0.6543;
    let page = page_of(&steps, &json!({}), &[]);
    assert_sound(&page);
    assert!(page.contains("fault: image black (1 step)"));
    assert_eq!(page.matches("<rect class=\"o2\"").count(), 1);
    assert!(page.contains("data-y=\"") && page.len() < 3_000_000, "{} bytes", page.len());
    // The spike survives decimation: the axis reaches above it.
    assert!(page.contains(">0.6</i>"));
}

#[test]
fn large_pictures_are_made_smaller_and_damaged_ones_left_out() {
    let noise = image::RgbImage::from_fn(1600, 1200, |x, y| {
        let v = (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)) as u8;
        image::Rgb([v, v.rotate_left(3), v.rotate_left(5)])
    });
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90);
    noise.write_with_encoder(encoder).expect("the picture is sound");
    let large = jpeg.len();
    let steps: Vec<_> = (0..300).map(step).collect();
    let mut damaged = jpeg.clone();
    damaged[2..].fill(0);
    let page = page_of(&steps, &json!({}), &[(FrameId(57), jpeg), (FrameId(157), damaged)]);
    assert_sound(&page);
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 1);
    assert_eq!(page.matches("no picture").count(), 1);
    assert!(page.len() < large, "{} bytes of {large}", page.len());
}

#[test]
fn the_file_is_written_or_the_error_names_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (plant, summary) = (plant(), json!({}));
    let input = ReportInput {
        title: "t",
        command_line: "c",
        plant: &plant,
        card: None,
        map: None,
        steps: &[],
        summary: &summary,
        pictures: &[],
    };
    let out = dir.path().join("report.html");
    write_report(&input, &out).expect("the directory is there");
    assert!(std::fs::read_to_string(&out).is_ok_and(|p| p.starts_with("<!doctype html>")));
    let missing = dir.path().join("no/report.html");
    let error = write_report(&input, &missing).expect_err("there is no directory");
    assert!(error.to_string().contains("no/report.html"));
}
