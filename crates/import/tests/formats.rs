//! Every format, as its makers write it.

mod common;

use caril_core::{Mount, NavCommand};
use caril_import::{Format, ImportError, ImportOptions, Side, SpeedUnit, TimeUnit};
use caril_record::{ImageFormat, Recording};
use common::{caril, donkey, frames, jpeg, options, out, png, run, udacity, udacity_name, write};

fn near(a: f32, b: f64) -> bool {
    (f64::from(a) - b).abs() < 1e-6
}

#[test]
fn udacity_without_header_and_with_windows_paths() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 8);
    let summary = run(&options(&src)).unwrap();
    assert_eq!((summary.format, summary.rows, summary.frames), ("udacity", 8, 8));
    assert_eq!((summary.drives, summary.camera.width, summary.camera.height), (1, 16, 8));
    assert!(near(summary.rate_hz, 10.0) && (summary.duration_s - 0.7).abs() < 1e-9);
    assert!(summary.bad_rows.is_empty() && summary.speed_known && summary.time_known);
    let frames = frames(&out(&src));
    let (step, picture) = &frames[2];
    assert_eq!(step.sim_time_ns, 200_000_000);
    assert_eq!(step.frame_id.0, 3, "the line of the table");
    let truth = step.truth.unwrap();
    assert!(near(truth.expert_steer, 0.25 * 25.0 / 70.0), "25° of CARLA's 70°");
    assert!(near(step.command.steer, 0.25 * 25.0 / 70.0) && near(step.command.throttle, 0.5));
    assert!(near(step.ego.speed_mps, 4.4704), "10 mph");
    assert!(truth.lane_deviation_m.is_nan(), "what is not known is not 0");
    assert!(!step.predicted);
    assert_eq!(picture.format, ImageFormat::Jpeg);
    assert_eq!(picture.bytes, jpeg(16, 8, 2), "byte for byte, not encoded again");
    let header = Recording::open(&out(&src)).unwrap();
    let header = header.header();
    assert_eq!((header.kind.as_str(), header.policy.as_str()), ("import", "expert"));
    assert_eq!(header.extra["import.camera"], "assumed");
    assert_eq!(header.created_unix_s, 0);
}

#[test]
fn udacity_with_header_and_another_camera() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 3);
    let log = std::fs::read_to_string(src.join("driving_log.csv")).unwrap();
    let head = "center,left,right,steering,throttle,brake,speed\n";
    write(&src, "driving_log.csv", format!("\u{feff}{head}{log}"));
    let left = ImportOptions { side: Side::Left, ..options(&src) };
    assert_eq!(run(&left).unwrap().frames, 3);
    assert_eq!(frames(&out(&src))[1].1.bytes, jpeg(16, 8, 101), "left pictures");
    let right = ImportOptions { side: Side::Right, force: true, ..options(&src) };
    let error = run(&right).unwrap_err();
    assert!(matches!(&error, ImportError::Nothing { bad, .. } if bad.len() == 3), "{error}");
    assert_eq!(frames(&out(&src)).len(), 3, "a failed import leaves the old file");
}

#[test]
fn the_papers_layout() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("data");
    caril(&src, 6);
    let summary = run(&options(&src)).unwrap();
    assert_eq!((summary.format, summary.frames, summary.drives), ("caril", 6, 2));
    assert!(summary.camera_known && near(summary.camera.fov_deg, 110.0));
    let frames = frames(&out(&src));
    let (step, picture) = &frames[2];
    assert!(near(step.truth.unwrap().expert_steer, -0.25), "CARLA's own scale");
    assert!(near(step.ego.speed_mps, 10.0), "36 km/h");
    assert_eq!((step.ego.pose.x_m, step.ego.pose.y_m, step.ego.pose.z_m), (2.0, -4.5, 0.25));
    assert_eq!(step.sim_time_ns, 200_000_000, "by the simulator's frame");
    assert_eq!(picture.format, ImageFormat::Png);
    assert_eq!(picture.bytes, png(12, 12, 2));
    let pause = frames[3].0.sim_time_ns - frames[2].0.sim_time_ns;
    assert_eq!(pause, 10_000_000_000, "set elsewhere: a new drive");
}

#[test]
fn a_donkeycar_tub() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("tub");
    donkey(&src);
    let summary = run(&options(&src)).unwrap();
    assert_eq!((summary.format, summary.rows, summary.frames), ("donkey", 4, 4));
    assert_eq!((summary.deleted, summary.drives), (1, 2));
    assert!(!summary.speed_known);
    let frames = frames(&out(&src));
    let ids: Vec<u64> = frames.iter().map(|(step, _)| step.frame_id.0).collect();
    assert_eq!(ids, [1, 3, 4, 5], "lines of all catalogs");
    assert!(near(frames[0].0.truth.unwrap().expert_steer, -0.5 * 25.0 / 70.0), "left is negative");
    assert_eq!(frames[1].0.sim_time_ns, 100_000_000);
    assert_eq!(frames[2].0.sim_time_ns, 10_100_000_000, "another session");
    let backwards = frames[2].0.command;
    assert!(near(backwards.throttle, 0.0) && near(backwards.brake, 0.5));
    assert_eq!(frames[2].1.bytes, jpeg(20, 10, 3));
}

#[test]
fn any_table_by_column_names() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("run");
    for n in 0..4 {
        write(&src, &format!("pictures/{n}.png"), png(8, 8, n));
    }
    let rows = "t;wheel;pic;v;todo\n1000;-50;../pictures/0.png;72;LEFT\n1100;0;../pictures/1.png;36;4\n\
                1200;100;../pictures/2.png;0;change_right\n4000;0;../pictures/3.png;0;straight\n";
    write(&src, "meta/labels.csv", rows);
    let columns = "image=pic, steer=wheel, speed=v, time=T, command=todo".parse().unwrap();
    let all = ImportOptions {
        format: Some(Format::Csv),
        columns: Some(columns),
        steer_scale: Some(-0.01),
        speed_unit: Some(SpeedUnit::Kmh),
        time_unit: TimeUnit::Milliseconds,
        speed_mps: 3.0,
        fov_deg: Some(60.0),
        mount: Some(Mount { x_m: 0.5, y_m: 0.1, z_m: 1.25, pitch_deg: -5.0, yaw_deg: 0.0 }),
        ..options(&src)
    };
    let summary = run(&all).unwrap();
    assert_eq!((summary.frames, summary.drives), (4, 2), "2.8 s without a frame");
    let frames = frames(&out(&src));
    let steers: Vec<f32> = frames.iter().map(|(s, _)| s.truth.unwrap().expert_steer).collect();
    assert_eq!(steers, [0.5, 0.0, -1.0, 0.0], "left is positive there, in percent");
    let times: Vec<u64> = frames.iter().map(|(s, _)| s.sim_time_ns / 1_000_000).collect();
    assert_eq!(times, [0, 100, 200, 3000]);
    let navs: Vec<NavCommand> = frames.iter().map(|(s, _)| s.nav).collect();
    use NavCommand::{ChangeRight, Follow, Left, Straight};
    assert_eq!(navs, [Left, Follow, ChangeRight, Straight]);
    assert!(near(frames[0].0.ego.speed_mps, 20.0), "72 km/h, not --speed");
    let header = Recording::open(&out(&src)).unwrap().header().clone();
    assert!(near(header.camera.fov_deg, 60.0) && near(header.plant.camera.mount.z_m, 1.25));
    assert_eq!(header.extra["import.camera"], "known");
}

#[test]
fn a_table_of_pictures_and_steers_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("hundred");
    let mut log = String::new();
    for n in 0..5u8 {
        write(&src, &format!("dataset/images/{n}.jpg"), jpeg(8, 8, n));
        log += &format!("{n}.jpg,0.{n}00\n");
    }
    write(&src, "dataset/labels.csv", log);
    write(&src, "dataset/._labels.csv", "what macOS leaves");
    let slow = ImportOptions { rate_hz: Some(5.0), speed_mps: 8.5, ..options(&src) };
    let summary = run(&slow).unwrap();
    assert_eq!((summary.format, summary.frames), ("csv", 5));
    assert!(!summary.time_known && !summary.speed_known);
    let frames = frames(&out(&src));
    assert_eq!(frames[0].1.bytes, jpeg(8, 8, 0), "the first line is no header");
    assert_eq!(frames[4].0.sim_time_ns, 800_000_000, "5 Hz");
    assert!(near(frames[4].0.ego.speed_mps, 8.5));
    assert!(frames[4].0.truth.unwrap().expert_speed_mps.is_nan());
}

#[test]
fn a_tar_file_is_read_as_the_folder_is() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 5);
    let tar = folder.path().join("track.tar");
    let mut builder = tar::Builder::new(std::fs::File::create(&tar).unwrap());
    builder.append_dir_all("some/where", &src).unwrap();
    builder.finish().unwrap();
    run(&options(&src)).unwrap();
    let packed = ImportOptions::new(&tar, folder.path().join("packed.mcap"));
    assert_eq!(run(&packed).unwrap().table, "some/where/driving_log.csv");
    assert_eq!(frames(&packed.out).len(), 5);
    let steps = |path| frames(path).into_iter().map(|(s, p)| (s.truth.unwrap().expert_steer, p));
    assert!(steps(&packed.out).eq(steps(&out(&src))));
    // A table may also be named directly.
    let direct = ImportOptions::new(src.join("driving_log.csv"), folder.path().join("d.mcap"));
    assert_eq!(run(&direct).unwrap().frames, 5);
    // A tar file that was cut off loses what is lost.
    let bytes = std::fs::read(&tar).unwrap();
    std::fs::write(&tar, &bytes[..bytes.len() / 2]).unwrap();
    let cut = ImportOptions { force: true, ..packed };
    match run(&cut) {
        Ok(summary) => assert!(!summary.bad_rows.is_empty()),
        Err(error) => assert!(error.to_string().contains("track.tar"), "{error}"),
    }
}

#[test]
fn twice_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 200);
    std::fs::remove_file(src.join("IMG").join(udacity_name("center", 77))).unwrap();
    let one = ImportOptions::new(&src, folder.path().join("one.mcap"));
    let two = ImportOptions::new(src.join("."), folder.path().join("deep/two.mcap"));
    assert_eq!(run(&one).unwrap().frames, 199);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(run(&two).unwrap().frames, 199);
    let read = |o: &ImportOptions| std::fs::read(&o.out).unwrap();
    assert_eq!(read(&one), read(&two), "another second, another way to say the same folder");
}
