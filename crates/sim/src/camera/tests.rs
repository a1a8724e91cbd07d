//! Tests of pictures of one straight road made by hand.

use std::sync::OnceLock;

use caril_road::RoadMap;

use super::*;
use crate::fault::{CameraFault, FaultSpec};

/// 300 m towards +x, one lane of 3.5 m each way and pavements of 2 m; edge lines 0.3 m wide.
fn map(centre: &str) -> RoadMap {
    let lane = |id: i32, kind: &str, width: f64, mark: &str| {
        format!(
            r#"<lane id="{id}" type="{kind}" level="false">
            <width sOffset="0" a="{width}" b="0" c="0" d="0"/>
            <roadMark sOffset="0" type="{mark}" color="white" width="0.3"/></lane>"#
        )
    };
    let xml = format!(
        r#"<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4"/>
        <road name="" length="300" id="1" junction="-1"><planView>
        <geometry s="0" x="0" y="0" hdg="0" length="300"><line/></geometry></planView>
        <lanes><laneSection s="0"><left>{}{}</left>
        <center><lane id="0" type="none" level="false">
        <roadMark sOffset="0" type="{centre}" color="yellow" width="0.3"/></lane></center>
        <right>{}{}</right></laneSection></lanes></road></OpenDRIVE>"#,
        lane(2, "sidewalk", 2.0, "none"),
        lane(1, "driving", 3.5, "solid"),
        lane(-1, "driving", 3.5, "solid"),
        lane(-2, "sidewalk", 2.0, "none"),
    );
    RoadMap::from_xodr("hand", &xml).unwrap()
}

fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| Scene::build(&map("solid"), 3))
}

/// In the middle of the right lane.
fn here() -> Pose {
    Pose { x_m: 100.0, y_m: 1.75, ..Pose::default() }
}

fn small() -> CameraSpec {
    CameraSpec { width: 160, height: 120, ..CameraSpec::PAPER }
}

fn picture(spec: CameraSpec, weather: &str, bodies: &[BodyPose], time_s: f64) -> Image {
    let mut image = Image::for_camera(&spec);
    let weather = Weather::preset(weather).unwrap();
    Camera::new(spec).render(scene(), &weather, &here(), bodies, time_s, &mut image);
    assert!(image.is_consistent());
    image
}

fn rgb(image: &Image, x: usize, y: usize) -> [f32; 3] {
    let at = (y * image.width as usize + x) * image.order.bytes_per_pixel();
    image.order.rgb_offsets().map(|o| f32::from(image.data[at + o]))
}

fn mean(image: &Image) -> f32 {
    image.data.iter().map(|v| f32::from(*v)).sum::<f32>() / image.data.len() as f32
}

fn difference(a: &Image, b: &Image) -> usize {
    a.data.iter().zip(&b.data).filter(|(a, b)| a != b).count()
}

#[test]
fn marks_are_where_the_pinhole_puts_them() {
    let spec = CameraSpec::PAPER;
    let image = picture(spec, "CloudyNoon", &[], 0.0);
    let focal = f64::from(spec.focal_px());
    // Column of a point of the ground, `right` metres beside the camera, in a row.
    let column = |row: usize, right: f64| {
        let ahead = 2.4 * focal / (row as f64 + 0.5 - 224.0);
        (224.0 + right / ahead * focal) as usize
    };
    let (mut white, mut yellow, mut between) = (0.0, 0.0, 0.0);
    let rows = 270..330;
    for row in rows.clone() {
        let n = rows.len() as f32;
        white += rgb(&image, column(row, 1.75), row)[1] / n;
        between += rgb(&image, column(row, 1.1), row)[1] / n;
        let c = rgb(&image, column(row, -1.75), row);
        yellow += (c[0] - c[2]) / n;
    }
    assert!(white > between + 50.0, "edge line {white}, asphalt {between}");
    assert!(yellow > 50.0, "centre line is yellow: {yellow}");
}

#[test]
fn the_same_inputs_give_the_same_bits() {
    let other = BodyPose {
        pose: Pose { x_m: 115.0, ..here() },
        length_m: 4.7,
        width_m: 1.85,
        height_m: 1.45,
        color: [200, 30, 30],
    };
    let a = picture(small(), "HardRainSunset", &[other], 2.5);
    assert_eq!(a, picture(small(), "HardRainSunset", &[other], 2.5));
    assert_ne!(a, picture(small(), "HardRainSunset", &[other], 2.55), "rain falls");
    let again = Scene::build(&map("solid"), 3);
    assert_eq!(again.obstacles(), scene().obstacles());
    assert_ne!(Scene::build(&map("solid"), 4).obstacles(), scene().obstacles());
    let clear = picture(small(), "ClearNoon", &[], 0.0);
    let red = picture(small(), "ClearNoon", &[other], 0.0);
    let [r, g, _] = rgb(&red, 80, 69);
    assert!(r > 2.0 * g && difference(&clear, &red) > 120, "a red car ahead: {r} {g}");
}

#[test]
fn every_weather_is_drawn_and_night_is_dark() {
    let noon = picture(small(), "ClearNoon", &[], 1.0);
    for name in Weather::names() {
        let image = picture(small(), name, &[], 1.0);
        let colors: std::collections::BTreeSet<_> = image.data.chunks(4).collect();
        assert!(colors.len() > 100, "{name}");
        if *name != "ClearNoon" {
            assert!(difference(&noon, &image) > 10_000, "{name}");
        }
        assert_eq!(name.ends_with("Night"), mean(&image) < 0.75 * mean(&noon), "{name}");
    }
}

#[test]
fn any_size_and_order_is_drawn() {
    for (width, height) in [(1, 1), (1, 33), (37, 1), (101, 53), (640, 90)] {
        for order in [PixelOrder::Bgra, PixelOrder::Rgb] {
            let spec = CameraSpec { width, height, order, ..small() };
            picture(spec, "HardRainNight", &[], 1.0);
            let mut image = picture(spec, "ClearSunset", &[], 1.0);
            for fault in CameraFault::ALL {
                Lens::new(&[FaultSpec { fault, severity: 1.0 }], 1).spoil(&mut image, 1);
            }
        }
    }
    let bgra = picture(small(), "ClearNoon", &[], 0.0);
    let other = picture(CameraSpec { order: PixelOrder::Rgb, ..small() }, "ClearNoon", &[], 0.0);
    assert_eq!(rgb(&bgra, 40, 90), rgb(&other, 40, 90));
}

#[test]
fn faults_change_the_picture_as_their_names_say() {
    let clean = picture(small(), "CloudyNoon", &[], 0.0);
    let spoiled = |fault, severity, frame| {
        let mut image = clean.clone();
        Lens::new(&[FaultSpec { fault, severity }], 5).spoil(&mut image, frame);
        image
    };
    use CameraFault::*;
    for fault in [Noise, Blur, Dirt, Overexposed, Underexposed, ColorCast] {
        assert_eq!(spoiled(fault, 0.0, 1), clean, "{fault:?}");
        let (half, full) = (spoiled(fault, 0.5, 1), spoiled(fault, 1.0, 1));
        assert_eq!(half, spoiled(fault, 0.5, 1), "{fault:?}");
        assert_ne!(half, clean, "{fault:?}");
        assert_ne!(half, full, "{fault:?}");
        assert!(full.data.chunks(4).all(|p| p[3] == 255), "{fault:?} leaves alpha");
        assert_eq!(half == spoiled(fault, 0.5, 2), fault != Noise, "{fault:?} over time");
    }
    assert!(mean(&spoiled(Overexposed, 0.5, 1)) > mean(&clean) + 15.0);
    assert!(mean(&spoiled(Underexposed, 0.5, 1)) < mean(&clean) - 30.0);
    let rough = |i: &Image| -> f32 {
        (0..159).map(|x| (rgb(i, x, 90)[1] - rgb(i, x + 1, 90)[1]).abs()).sum()
    };
    assert!(rough(&spoiled(Blur, 1.0, 1)) < 0.5 * rough(&clean));
    assert!(rough(&spoiled(Noise, 1.0, 1)) > 2.0 * rough(&clean));
    for (fault, limit) in [(YawOffset, 8.0), (PitchOffset, 5.0)] {
        let mount = Lens::new(&[FaultSpec { fault, severity: 0.5 }], 5).mount(&small().mount);
        let angle = if fault == YawOffset { mount.yaw_deg } else { mount.pitch_deg };
        assert_eq!(angle.abs(), 0.5 * limit, "{fault:?}");
        assert_ne!(picture(CameraSpec { mount, ..small() }, "CloudyNoon", &[], 0.0), clean);
    }
}

#[test]
fn nothing_stands_on_the_road() {
    let map = map("solid");
    assert!(scene().obstacles().len() > 20);
    for o in scene().obstacles() {
        let (s, c) = (libm::sin(o.yaw_rad), libm::cos(o.yaw_rad));
        for i in -4..=4 {
            for j in -4..=4 {
                let (u, v) =
                    (f64::from(i) / 4.0 * o.half_length_m, f64::from(j) / 4.0 * o.half_width_m);
                let (x, y) = (o.x_m + u * c - v * s, o.y_m + u * s + v * c);
                assert!(y.abs() > 4.9 || !(-0.1..300.1).contains(&x), "{o:?}");
                let under = map.surface(x, y, 0.0);
                let walk = |l| l == caril_road::LaneType::Sidewalk;
                assert!(under.is_none_or(|s| walk(s.lane_type)), "{o:?}");
            }
        }
    }
}

#[test]
fn far_dashes_do_not_crawl() {
    let scene = Scene::build(&map("broken"), 3);
    let plain = Scene::build(&map("none"), 3);
    let spec = CameraSpec::PAPER;
    let weather = Weather::preset("CloudyNoon").unwrap();
    let mut camera = Camera::new(spec);
    let mut image = Image::for_camera(&spec);
    // Yellowness around the centre line 50 to 110 m ahead, where a dash is a pixel high or less,
    // beyond what the same road without the line has.
    let mut yellow = |scene: &Scene, x_m: f64| {
        let pose = Pose { x_m, ..here() };
        camera.render(scene, &weather, &pose, &[], 0.0, &mut image);
        let mut sum = 0.0;
        for row in 227..231 {
            for column in 212..224 {
                let c = rgb(&image, column, row);
                sum += 0.5 * (c[0] + c[1]) - c[2];
            }
        }
        sum
    };
    let period = f64::from(scene.look.dash_m[1]);
    let steps = 36;
    let marks: Vec<f32> = (0..=steps)
        .map(|k| 60.0 + period * f64::from(k) / f64::from(steps))
        .map(|x| yellow(&scene, x) - yellow(&plain, x))
        .collect();
    let mean = marks.iter().sum::<f32>() / marks.len() as f32;
    let jump = marks.windows(2).map(|p| (p[1] - p[0]).abs()).fold(0.0, f32::max);
    assert!(mean > 40.0, "the line is seen: {mean}");
    assert!(jump < 0.15 * mean, "it does not flicker: {jump} of {mean}");
}

/// A camera and what it draws of numbers: depth, tags.
fn numbers(spec: CameraSpec, bodies: &[BodyPose]) -> (Image, Image) {
    let (mut depth, mut tags) = (Image::for_camera(&spec), Image::for_camera(&spec));
    let mut camera = Camera::new(spec);
    camera.depth(scene(), &here(), bodies, &mut depth);
    camera.semantic(scene(), &here(), bodies, &mut tags);
    assert!(depth.is_consistent() && tags.is_consistent());
    (depth, tags)
}

fn metres(depth: &Image, x: usize, y: usize) -> f32 {
    depth_m(rgb(depth, x, y).map(|v| v as u8))
}

fn tag(tags: &Image, x: usize, y: usize) -> Tag {
    let [number, green, blue] = rgb(tags, x, y).map(|v| v as u8);
    assert_eq!((green, blue), (0, 0));
    Tag::ALL.into_iter().find(|t| *t as u8 == number).unwrap()
}

#[test]
fn depth_is_the_distance_along_the_camera_s_axis() {
    let spec = CameraSpec::PAPER;
    let (depth, tags) = numbers(spec, &[]);
    for row in 240..448 {
        // A flat road, 2.4 m below: the same all along a row.
        let want = 2.4 * spec.focal_px() / (row as f32 + 0.5 - 224.0);
        for column in [200, 224, 232] {
            let got = metres(&depth, column, row);
            assert!((got / want - 1.0).abs() < 1e-3, "{column} {row}: {got}, not {want}");
        }
    }
    assert_eq!(tag(&tags, 224, 447), Tag::Roads);
    assert_eq!(depth_m([255; 3]), FAR_M);
    assert!(depth.data.iter().skip(3).step_by(4).all(|alpha| *alpha == 255));
    assert!(tags.data.iter().skip(3).step_by(4).all(|alpha| *alpha == 255));
}

#[test]
fn tags_are_where_the_pinhole_puts_the_things() {
    let spec = CameraSpec::PAPER;
    let (_, tags) = numbers(spec, &[]);
    let focal = f64::from(spec.focal_px());
    for row in 280..330 {
        let at = |right: f64| {
            let ahead = 2.4 * focal / (row as f64 + 0.5 - 224.0);
            tag(&tags, (224.0 + right / ahead * focal) as usize, row)
        };
        assert_eq!(at(0.0), Tag::Roads);
        assert_eq!(at(1.1), Tag::Roads);
        // The kerb hides the outer half of the edge line.
        assert_eq!((at(1.67), at(-1.75)), (Tag::RoadLine, Tag::RoadLine));
        assert_eq!(at(-3.5), Tag::Roads, "the other lane");
        // Kerb, then slabs; a kerb higher than the road, so seen a little farther out.
        assert_eq!((at(2.15), at(3.0)), (Tag::SideWalks, Tag::SideWalks));
    }
    let mut seen: Vec<Tag> = Vec::new();
    for y in 0..448 {
        seen.extend((0..448).map(|x| tag(&tags, x, y)));
    }
    seen.sort_unstable();
    seen.dedup();
    let all: Vec<Tag> = Tag::ALL.into_iter().filter(|t| *t != Tag::Car).collect();
    assert_eq!(seen, all);
}

#[test]
fn dashes_have_gaps() {
    let scene = Scene::build(&map("broken"), 3);
    let spec = CameraSpec::PAPER;
    let (mut camera, mut tags) = (Camera::new(spec), Image::for_camera(&spec));
    camera.semantic(&scene, &here(), &[], &mut tags);
    let focal = f64::from(spec.focal_px());
    let [on, period] = scene.look.dash_m.map(f64::from);
    for row in 270..340 {
        let ahead = 2.4 * focal / (row as f64 + 0.5 - 224.0);
        let along = (101.5 + ahead).rem_euclid(period);
        // Not at the very ends of a dash.
        if (along - on).abs() < 0.05 || along < 0.05 || along > period - 0.05 {
            continue;
        }
        let want = if along < on { Tag::RoadLine } else { Tag::Roads };
        assert_eq!(tag(&tags, (224.0 - 1.75 / ahead * focal) as usize, row), want, "{along}");
    }
}

#[test]
fn all_cameras_agree_on_what_is_sky() {
    let spec = small();
    let (depth, tags) = numbers(spec, &[]);
    let mut camera = Camera::new(spec);
    let clear = Weather::preset("ClearNoon").unwrap();
    camera.render(scene(), &clear, &here(), &[], 0.0, &mut Image::for_camera(&spec));
    let mut sky = 0;
    for (k, id) in camera.raster.id.iter().enumerate() {
        let (x, y) = (k % 160, k / 160);
        assert_eq!(tag(&tags, x, y) == Tag::Sky, *id == 0);
        if *id == 0 {
            sky += 1;
            assert_eq!(metres(&depth, x, y), FAR_M);
        }
    }
    assert!((1000..12_000).contains(&sky), "{sky}");
    // The next picture of the same camera does not depend on the one before.
    let mut again = Image::for_camera(&spec);
    camera.depth(scene(), &here(), &[], &mut again);
    assert_eq!(again, depth);
}

#[test]
fn a_car_is_a_car_and_its_shadow_is_road() {
    let other = BodyPose::car(Pose { x_m: 115.0, ..here() }, [200, 30, 30]);
    let (depth, tags) = numbers(CameraSpec::PAPER, &[other]);
    let (plain, _) = numbers(CameraSpec::PAPER, &[]);
    // Its rear, 0.6 m above the road.
    let away = 115.0 - 0.5 * LENGTH_M as f32 - 101.5;
    let row = (224.0 + 1.8 / away * CameraSpec::PAPER.focal_px()) as usize;
    assert_eq!(tag(&tags, 224, row), Tag::Car);
    let got = metres(&depth, 224, row);
    assert!((got / away - 1.0).abs() < 0.02, "{got}, not {away}");
    let mut changed = 0;
    for y in 0..448 {
        for x in 0..448 {
            if tag(&tags, x, y) == Tag::Car {
                changed += 1;
            } else {
                assert_eq!(metres(&depth, x, y), metres(&plain, x, y), "{x} {y}");
            }
        }
    }
    assert!(changed > 300, "{changed}");
}

#[test]
fn numbers_are_drawn_in_any_size_and_order() {
    for (width, height) in [(1, 1), (1, 33), (37, 1), (101, 53)] {
        let bgra = CameraSpec { width, height, ..small() };
        let (depth, tags) = numbers(bgra, &[]);
        assert_eq!((depth.clone(), tags.clone()), numbers(bgra, &[]));
        let other = numbers(CameraSpec { order: PixelOrder::Rgb, ..bgra }, &[]);
        for x in 0..width as usize {
            let y = height as usize - 1;
            assert_eq!(rgb(&depth, x, y), rgb(&other.0, x, y));
            assert_eq!(rgb(&tags, x, y), rgb(&other.1, x, y));
        }
    }
}

#[test]
fn rows_that_are_seen_do_not_depend_on_the_others() {
    let spec = small();
    let other = BodyPose::car(Pose { x_m: 115.0, ..here() }, [200, 30, 30]);
    let seen: Arc<[bool]> =
        (0..spec.height as usize).map(|y| (40..90).contains(&y) || y % 7 == 3).collect();
    let stride = spec.width as usize * 4;
    for name in Weather::names() {
        for fault in [None, Some(CameraFault::Noise), Some(CameraFault::Dirt)] {
            let faults = fault.map(|fault| FaultSpec { fault, severity: 0.5 });
            let draw = |rows: Option<Arc<[bool]>>| {
                let mut camera = Camera::new(spec);
                let mut lens = Lens::new(faults.as_slice(), 5);
                (camera.seen_rows, lens.seen_rows) = (rows.clone(), rows);
                let (weather, mut image) =
                    (Weather::preset(name).unwrap(), Image::for_camera(&spec));
                // Low sun ahead and behind.
                [0.0, 1.0, 2.0, 3.0].map(|yaw_rad| {
                    let pose = Pose { yaw_rad, ..here() };
                    camera.render(scene(), &weather, &pose, &[other], 2.5, &mut image);
                    lens.spoil(&mut image, 1);
                    image.clone()
                })
            };
            for (some, all) in draw(Some(seen.clone())).iter().zip(&draw(None)) {
                assert_ne!(some, all, "{name}: nothing was left out");
                let rows = some.data.chunks(stride).zip(all.data.chunks(stride));
                for (y, (a, b)) in rows.enumerate() {
                    assert!(!seen[y] || a == b, "{name} {fault:?}: row {y}");
                }
            }
        }
    }
    assert!(Lens::new(&[FaultSpec { fault: CameraFault::Blur, severity: 0.5 }], 5).mixes_rows());
}
