//! The plan: the same for ever, whole in its shards, paired over the arms.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn suite() -> Suite {
    let route = RouteRule { length_m: (100.0, 300.0), turns: Some(1) };
    let cells = |name: &str, faults: &[&str]| Cells {
        name: name.into(),
        maps: vec!["a".into(), "b".into()],
        route,
        weather: vec!["ClearNoon".into(), "FoggyNoon".into()],
        faults: faults.iter().map(|f| (*f).to_owned()).collect(),
        traffic: vec![0],
        delay: vec!["0".into(), "1-3".into()],
        appearance: 4,
    };
    Suite {
        name: "test".into(),
        about: String::new(),
        seed: 100,
        trials: 3,
        arms: Vec::new(),
        ends: Ends::default(),
        cells: vec![cells("one", &["none"]), cells("two", &["noise:0.5", "blur:1+dirt:0.2"])],
    }
}

fn arms(names: &[&str]) -> Vec<Arm> {
    names.iter().map(|n| Arm::parse(n).unwrap()).collect()
}

#[test]
fn the_plan_is_the_product_in_one_order() {
    let all = plan(&suite(), &arms(&["off", "paper"]), 3, Shard::WHOLE).unwrap();
    assert_eq!(all.len(), 3 * (4 + 8) * 2);
    assert_eq!(all, plan(&suite(), &arms(&["off", "paper"]), 3, Shard::WHOLE).unwrap());
    let ids: BTreeSet<String> = all.iter().map(Episode::id).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(all[0].id(), "test/one ClearNoon late 0/0@off");
    assert_eq!((all[0].seed, all[0].map.as_str()), (100, "a"));
    let last = all.last().unwrap();
    assert_eq!(last.id(), "test/two FoggyNoon blur:1+dirt:0.2 late 1-3/2@paper");
    assert_eq!((last.seed, last.map.as_str(), last.delay), (102, "a", (1, 3)));
    assert_eq!(last.faults, ["blur:1", "dirt:0.2"]);
    // More trials and other arms change no episode that there was.
    let more = plan(&suite(), &arms(&["off", "expert", "paper"]), 5, Shard::WHOLE).unwrap();
    let more: BTreeMap<String, Episode> = more.into_iter().map(|e| (e.id(), e)).collect();
    assert!(all.iter().all(|e| more.get(&e.id()) == Some(e)));
}

#[test]
fn arms_differ_in_nothing_but_their_name() {
    let all = plan(&suite(), &arms(&["off", "paper"]), 3, Shard::WHOLE).unwrap();
    for pair in all.chunks(2) {
        let other = Episode { arm: pair[0].arm.clone(), ..pair[1].clone() };
        assert_eq!(pair[0], other);
        assert_eq!(pair[0].pair(), pair[1].pair());
    }
    // One route in every cell of a trial, another in every trial.
    let routes = |trial| -> BTreeSet<u64> {
        all.iter().filter(|e| e.trial == trial).map(Episode::route_id).collect()
    };
    assert_eq!((routes(0).len(), routes(1).len()), (1, 1));
    assert!(routes(0).is_disjoint(&routes(2)));
}

#[test]
fn shards_are_a_partition_and_part_no_pair() {
    let arms = arms(&["off", "paper", "calibrated"]);
    let whole = plan(&suite(), &arms, 3, Shard::WHOLE).unwrap();
    for count in [2, 5, 7, 100] {
        let mut seen = BTreeMap::new();
        for index in 1..=count {
            let shard = Shard::parse(&format!("{index}/{count}")).unwrap();
            for e in plan(&suite(), &arms, 3, shard).unwrap() {
                assert!(seen.insert(e.id(), index).is_none(), "{} twice", e.id());
            }
        }
        assert_eq!(seen.len(), whole.len());
        assert!(whole.chunks(3).all(|p| seen[&p[0].id()] == seen[&p[2].id()]));
    }
    for bad in ["0/2", "3/2", "1", "a/b", "1/0", ""] {
        assert_eq!(Shard::parse(bad), None, "{bad}");
    }
}

#[test]
fn nonsense_is_named() {
    let check = |spoil: fn(&mut Suite), says: &str| {
        let mut s = suite();
        spoil(&mut s);
        let error = plan(&s, &arms(&["off"]), 1, Shard::WHOLE).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    check(|s| s.name = "a/b".into(), "name");
    check(|s| s.cells[1] = s.cells[0].clone(), "two cells are called one");
    check(|s| s.cells[0].name = String::new(), "name");
    check(|s| s.cells[1].delay = vec!["3-1".into()], "delay");
    check(|s| s.cells[1].maps.clear(), "maps");
    check(|s| s.cells[0].route.length_m = (300.0, 100.0), "length_m");
    check(|s| s.cells[0].route.length_m = (f64::NAN, 100.0), "length_m");
    check(|s| s.ends.time_limit_s = Some(-1.0), "ends");
    check(|s| s.trials = 0, "trials");
}
