//! That a cell which is not as the table says is found.

use std::sync::Arc;

use super::*;

fn sim() -> SimConfig {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../maps/harbour_town.xodr");
    let map = caril_road::RoadMap::load(std::path::Path::new(path)).expect("shipped map");
    SimConfig::new(Arc::new(map))
}

/// The drive of one cell, to be tampered with.
fn drive(question: Question, clean: usize) -> Vec<Tick> {
    let mut bench = Bench::new(&sim(), Config::default()).expect("world");
    for _ in 0..clean {
        bench.period(&Meddling::default());
    }
    for k in 0..300 {
        bench.period(&Bench::meddle(question, k));
    }
    bench.ticks
}

#[test]
fn what_is_not_as_the_table_says_is_found() {
    let question = Question { fault: Fault::ImageBlack, mode: Mode::Nominal, lasting: false };
    let clean = 120;
    let judged = |tamper: &dyn Fn(usize, &mut Tick)| {
        let mut ticks = drive(question, clean);
        ticks.iter_mut().enumerate().for_each(|(i, t)| tamper(i, t));
        judge(question, &Config::default(), &ticks, clean).wrong.join("; ")
    };
    assert_eq!(judged(&|_, _| {}), "");
    let at = |i: usize| i == clean;
    let found = |what: &str, tamper: &dyn Fn(usize, &mut Tick)| {
        let wrong = judged(tamper);
        assert!(wrong.contains(what), "{what}: {wrong:?}");
    };
    found("not noticed", &|_, t| t.output.faults = FaultSet::EMPTY);
    found("mode Degraded", &|i, t| {
        if at(i) {
            t.output.mode = Mode::Degraded;
        }
    });
    found("manoeuvre comfort_stop", &|i, t| {
        if at(i) {
            t.output.command.brake = 0.4;
        }
    });
    found("steering live", &|i, t| {
        if at(i) {
            t.output.command.steer += 0.1;
        }
    });
    // Left at once, without waiting for clean frames.
    found("recovery clean_frames", &|i, t| {
        if i > clean + 3 {
            t.output.mode = Mode::Nominal;
        }
    });
    found("recovery never", &|i, t| {
        if i > clean {
            t.output.mode = Mode::SafeStop;
        }
    });
    found("throttle during a stop", &|i, t| {
        if i == clean + 5 {
            t.output.command.throttle = 0.1;
        }
    });
    found("to a stand, stated", &|_, t| t.moved_m *= 1.3);
    found("did not come to a stand", &|_, t| t.speed_mps += 1.0);
}

#[test]
fn the_table_knows_what_a_stop_under_way_makes_of_a_fault() {
    let ask = |fault, mode, lasting| expected(Question { fault, mode, lasting });
    let late = ask(Fault::FrameLate, Mode::Nominal, false);
    assert_eq!((late.mode, late.recovery), (Mode::Degraded, Recovery::CleanFrames));
    let late = ask(Fault::FrameLate, Mode::SafeStop, false);
    assert_eq!((late.mode, late.recovery), (Mode::SafeStop, Recovery::Standstill));
    assert_eq!(late.manoeuvre, Some(Manoeuvre::ComfortStop));
    let black = ask(Fault::ImageBlack, Mode::SafeStop, false);
    assert_eq!(black.manoeuvre, Some(Manoeuvre::HardStop), "harder, never softer");
    let lasting = ask(Fault::FrameGap, Mode::Degraded, true);
    assert_eq!((lasting.mode, lasting.manoeuvre), (Mode::SafeStop, Some(Manoeuvre::ComfortStop)));
    assert_eq!(questions().len(), 18 * 3 + 7 * 2);
}
