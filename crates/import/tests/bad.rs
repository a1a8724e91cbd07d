//! Bad rows and bad sources: counted, listed, named, and never a half-written file.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use caril_import::{BadKind, Columns, Format, ImportError, ImportOptions, import};
use common::{caril, donkey, frames, jpeg, options, out, png, run, udacity, udacity_name, write};

/// Rows, kinds and causes.
fn kinds(bad: &[caril_import::BadRow]) -> Vec<(u64, BadKind)> {
    bad.iter().map(|row| (row.row, row.kind)).collect()
}

/// A csv of nineteen rows, fifteen of them bad in their own ways.
fn spoiled(src: &Path) {
    for n in 0..11 {
        write(src, &format!("images/{n}.jpg"), jpeg(16, 16, n));
    }
    let whole = jpeg(16, 16, 3);
    write(src, "images/cut.jpg", &whole[..whole.len() - 40]);
    let png = png(16, 16, 3);
    write(src, "images/cut.png", &png[..png.len() - 20]);
    write(src, "images/text.jpg", "no picture");
    write(src, "images/empty.jpg", "");
    write(src, "images/small.jpg", jpeg(8, 16, 3));
    let rows = [
        "image,steer,time",
        "0.jpg,0.1,0.0",       // 2
        "1.jpg",               // 3 malformed
        "2.jpg,nan,0.2",       // 4 not a number
        "3.jpg,,0.3",          // 5 not a number
        "4.jpg,0.1,soon",      // 6 not a number
        "5.jpg,12.5,0.5",      // 7 out of range
        "gone.jpg,0.1,0.6",    // 8 missing
        "cut.jpg,0.1,0.7",     // 9 broken
        "text.jpg,0.1,0.8",    // 10 broken
        "empty.jpg,0.1,0.85",  // 11 broken
        "small.jpg,0.1,0.9",   // 12 wrong size
        "6.jpg,0.1,1.0",       // 13
        "7.jpg,0.1,0.95",      // 14 time back
        "8.jpg,0.1,1.0",       // 15 time stands
        "9.jpg,0.1,99.0",      // 16 ahead of all that follow
        "10.jpg,0.1,1.1",      // 17
        "cut.png,0.1,1.2",     // 18 broken
        "/etc/passwd,0.1,1.3", // 19 missing
        "10.jpg,0.1,1.4",      // 20
    ];
    write(src, "labels.csv", rows.join("\n"));
}

#[test]
fn every_kind_of_bad_row_is_listed_and_the_rest_imported() {
    use BadKind::*;
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("run");
    spoiled(&src);
    let summary = run(&options(&src)).unwrap();
    let expected = [
        (3, Malformed),
        (4, NotANumber),
        (5, NotANumber),
        (6, NotANumber),
        (7, OutOfRange),
        (8, MissingPicture),
        (9, BrokenPicture),
        (10, BrokenPicture),
        (11, BrokenPicture),
        (12, WrongSize),
        (14, TimeBack),
        (15, TimeBack),
        (16, TimeBack),
        (18, BrokenPicture),
        (19, MissingPicture),
    ];
    assert_eq!(kinds(&summary.bad_rows), expected, "{:#?}", summary.bad_rows);
    assert_eq!((summary.rows, summary.frames), (19, 4));
    assert_eq!(summary.rows, summary.frames + summary.bad.values().sum::<u64>(), "none is lost");
    let ids: Vec<u64> = frames(&out(&src)).iter().map(|(step, _)| step.frame_id.0).collect();
    assert_eq!(ids, [2, 13, 17, 20]);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["bad"]["broken_picture"], 4);
    assert_eq!(json["bad_rows"][5]["picture"], "gone.jpg");
    assert_eq!(json["bad_rows"][9]["kind"], "wrong_size");
}

#[test]
fn strict_makes_them_an_error_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("run");
    spoiled(&src);
    let error = run(&ImportOptions { strict: true, ..options(&src) }).unwrap_err();
    assert_eq!(error.bad_rows().len(), 15);
    assert!(error.to_string().contains("15 bad rows"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the source");
    udacity(&folder.path().join("good"), 3);
    let good = ImportOptions { strict: true, ..options(&folder.path().join("good")) };
    assert_eq!(run(&good).unwrap().frames, 3);
}

#[test]
fn bad_records_of_a_tub() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("tub");
    donkey(&src);
    let good = fs::read_to_string(src.join("catalog_1.catalog")).unwrap();
    let lines = [
        "{\"_index\": 5, \"cam/image_array\": \"0_cam_image_array_.jpg\", \"user/angle\": NaN}",
        "{\"_index\": 6, \"cam/image_ar",
        "{\"_index\": 7, \"_timestamp_ms\": 1600000009000, \"cam/image_array\": \"0_cam_image_array_.jpg\", \"user/angle\": 0.1, \"user/mode\": \"local_angle\"}",
        "{\"_index\": 8, \"_timestamp_ms\": 1600000009000, \"cam/image_array\": \"0_cam_image_array_.jpg\", \"user/angle\": 2}",
        "{\"_index\": 9, \"cam/image_array\": \"0_cam_image_array_.jpg\", \"user/angle\": 0}",
        "[]",
    ];
    write(&src, "catalog_1.catalog", good + &lines.join("\r\n"));
    let summary = run(&options(&src)).unwrap();
    use BadKind::{Malformed, NotANumber, NotDriven, OutOfRange};
    let expected = [
        (6, NotANumber),
        (7, Malformed),
        (8, NotDriven),
        (9, OutOfRange),
        (10, NotANumber),
        (11, Malformed),
    ];
    assert_eq!(kinds(&summary.bad_rows), expected, "{:#?}", summary.bad_rows);
    assert_eq!(summary.frames, 4);
    fs::remove_file(src.join("catalog_0.catalog")).unwrap();
    let error = run(&ImportOptions { force: true, ..options(&src) }).unwrap_err();
    assert!(error.to_string().contains("catalog_0.catalog"), "{error}");
}

#[test]
fn a_wild_first_time_costs_one_row_only() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("run");
    for n in 0..4 {
        write(&src, &format!("{n}.jpg"), jpeg(8, 8, n));
    }
    write(&src, "t.csv", "file,angle,time\n0.jpg,0,500\n1.jpg,0,1\n2.jpg,0,2\n3.jpg,0,3\n");
    let summary = run(&options(&src)).unwrap();
    assert_eq!(kinds(&summary.bad_rows), [(2, BadKind::TimeBack)]);
}

#[test]
fn degrees_are_refused_rather_than_clipped() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 4);
    let log =
        fs::read_to_string(src.join("driving_log.csv")).unwrap().replace(",0.5,0.5", ",12.5,0.5");
    write(&src, "driving_log.csv", log);
    let bad = run(&options(&src)).unwrap().bad_rows;
    assert_eq!(kinds(&bad), [(3, BadKind::OutOfRange)]);
    assert!(bad[0].why.contains("12.5"), "{}", bad[0].why);
}

#[test]
fn an_existing_output_is_kept_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 3);
    fs::write(out(&src), "precious").unwrap();
    assert!(matches!(run(&options(&src)), Err(ImportError::Exists(_))));
    assert_eq!(fs::read(out(&src)).unwrap(), b"precious");
    run(&ImportOptions { force: true, ..options(&src) }).unwrap();
    assert_eq!(frames(&out(&src)).len(), 3);
}

#[test]
fn a_stop_leaves_nothing_whenever_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("track");
    udacity(&src, 150);
    fs::write(out(&src), "the one before").unwrap();
    let forced = ImportOptions { force: true, ..options(&src) };
    let mut reports = 0;
    import(&forced, &AtomicBool::new(false), &mut |_| reports += 1).unwrap();
    fs::write(out(&src), "the one before").unwrap();
    assert!(reports >= 4, "two of looking, at least two of writing: {reports}");
    for at in 0..reports - 1 {
        let (stop, mut n) = (AtomicBool::new(false), 0);
        let result = import(&forced, &stop, &mut |_| {
            stop.fetch_or(n == at, Ordering::Relaxed);
            n += 1;
        });
        assert!(matches!(result, Err(ImportError::Stopped)), "at report {at}: {result:?}");
        assert_eq!(fs::read(out(&src)).unwrap(), b"the one before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no unfinished file");
    }
}

#[test]
fn sources_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let says = |options: &ImportOptions, what: &[&str]| {
        let error = run(options).unwrap_err().to_string();
        for what in what {
            assert!(error.contains(what), "{error:?} should mention {what}");
        }
    };
    let at = |name: &str| ImportOptions::new(root.join(name), root.join("out.mcap"));
    says(&at("nowhere"), &["nowhere"]);
    write(root, "empty/readme.txt", "");
    says(&at("empty"), &["driving_log.csv", "control_commands.csv", "empty"]);
    write(root, "x.tar.gz", "");
    says(&at("x.tar.gz"), &["unpack", "x.tar.gz"]);
    write(root, "two/a.csv", "1.jpg,0\n");
    write(root, "two/b.csv", "1.jpg,0\n");
    says(&at("two"), &["a.csv", "b.csv"]);
    write(root, "odd/a.csv", "foo,bar,baz\n1,2,3\n");
    says(&at("odd"), &["foo, bar, baz", "--columns", "a.csv"]);
    let columns: Columns = "image=foo,steer=qux".parse().unwrap();
    says(&ImportOptions { columns: Some(columns), ..at("odd") }, &["qux", "foo, bar, baz"]);
    write(root, "blank/a.csv", "\n\n");
    says(&at("blank"), &["empty", "a.csv"]);
    write(root, "tub/manifest.json", "[]\n{}\n");
    says(&at("tub"), &["paths", "manifest.json"]);
    caril(&root.join("paper"), 2);
    says(&ImportOptions { format: Some(Format::Udacity), ..at("paper") }, &["driving_log.csv"]);
    let name = udacity_name("center", 0);
    write(root, "lost/driving_log.csv", format!("{name},l,r,0,0,0,0\n"));
    says(&at("lost"), &["1 bad", "lost"]);
    says(&ImportOptions { rate_hz: Some(0.0), ..at("lost") }, &["rate"]);
    says(&ImportOptions { fov_deg: Some(400.0), ..at("lost") }, &["field of view"]);
    assert!(!root.join("out.mcap").exists() && !root.join("out.mcap.part").exists());
}

#[test]
fn columns_that_make_no_sense_are_refused() {
    for (text, says) in [
        ("image=a", "steer"),
        ("steer=a", "image"),
        ("image=a,steer=b,color=c", "color"),
        ("image=a,steer", "WHAT=COLUMN"),
        ("image=a,steer=b,steer=c", "twice"),
    ] {
        let error = text.parse::<Columns>().unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}
