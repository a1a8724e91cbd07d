//! Whatever is read, the answer is a map or an error: never a panic, never NaN.

use caril_core::CounterRng;
use caril_road::{MapError, RoadMap};
use proptest::prelude::*;

/// Two roads and a bend in a ring, with every kind of geometry; quick to load.
const RING: &str = r#"<OpenDRIVE><header revMajor="1" revMinor="7"/>
<road id="1" length="40" junction="-1"><link><predecessor elementType="road" elementId="2" contactPoint="end"/><successor elementType="road" elementId="2" contactPoint="start"/></link>
<type s="0" type="town"><speed max="30" unit="mph"/></type>
<planView><geometry s="0" x="0" y="0" hdg="0" length="20"><line/></geometry>
<geometry s="20" x="20" y="0" hdg="0" length="10"><spiral curvStart="0" curvEnd="0.1"/></geometry>
<geometry s="30" x="29.7" y="1.6" hdg="0.5" length="10"><paramPoly3 aU="0" bU="10" cU="0" dU="0" aV="0" bV="0" cV="1" dV="0.1" pRange="normalized"/></geometry></planView>
<elevationProfile><elevation s="0" a="1" b="0.01" c="0" d="0"/></elevationProfile>
<lanes><laneOffset s="0" a="0.1" b="0" c="0" d="0"/><laneSection s="0">
<left><lane id="1" type="driving"><link><predecessor id="1"/><successor id="1"/></link><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></left>
<center><lane id="0" type="none"><roadMark sOffset="0" type="broken" color="yellow"/></lane></center>
<right><lane id="-1" type="driving"><link><predecessor id="-1"/><successor id="-1"/></link><width sOffset="0" a="3.5" b="0" c="0" d="0"/><speed sOffset="0" max="40" unit="km/h"/></lane>
<lane id="-2" type="sidewalk"><border sOffset="0" a="6" b="0" c="0" d="0"/></lane></right></laneSection></lanes></road>
<road id="2" length="30" junction="-1"><link><predecessor elementType="road" elementId="1" contactPoint="end"/><successor elementType="road" elementId="1" contactPoint="start"/></link>
<planView><geometry s="0" x="38" y="7" hdg="0.8" length="15"><arc curvature="0.05"/></geometry>
<geometry s="15" x="43" y="20" hdg="1.5" length="15"><poly3 a="0" b="0" c="0.01" d="0"/></geometry></planView>
<lanes><laneSection s="0"><left><lane id="1" type="driving"><link><predecessor id="1"/><successor id="1"/></link><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></left><center><lane id="0" type="none"/></center>
<right><lane id="-1" type="driving"><link><predecessor id="-1"/><successor id="-1"/></link><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right></laneSection></lanes></road>
<junction id="9"><connection id="0" incomingRoad="1" connectingRoad="2" contactPoint="start"><laneLink from="-1" to="-1"/></connection></junction>
</OpenDRIVE>"#;

/// Calls everything that can be called; what comes out must be numbers.
fn exercise(map: &RoadMap) {
    for lane in map.driving_lanes() {
        let p = map.lane_pose(*lane, 0.4 * map.lane_length_m(*lane));
        assert!(
            [p.x_m, p.y_m, p.z_m, p.yaw_rad, p.curvature_1pm, p.width_m]
                .iter()
                .all(|v| v.is_finite())
        );
        assert!(map.speed_limit_mps(*lane, 1.0) > 0.0);
        let _ = (map.nearest_lane(p.x_m, p.y_m, p.z_m), map.surface(p.x_m, p.y_m, p.z_m));
    }
    for s in map.strips(2.0) {
        assert!(s.inner.iter().chain(&s.outer).flatten().all(|v| v.is_finite()));
        assert!(s.s_m.len() == s.inner.len() && s.s_m.len() == s.outer_mark.len() + 1);
    }
    let _ =
        (map.waypoints(5.0), map.nearest_lane(f64::NAN, 0.0, 0.0), map.surface(1e300, 0.0, 0.0));
    if let Ok(route) = map.random_route(&mut CounterRng::new(1, 2), 5.0, 60.0) {
        let p = route.at(f64::NAN);
        assert!(p.x_m.is_finite() && route.project(p.x_m, p.y_m, f64::NAN).0.is_finite());
    }
}

/// Numbers between quotes, as byte ranges.
fn numbers() -> Vec<std::ops::Range<usize>> {
    let (mut out, mut open) = (Vec::new(), None);
    for (i, c) in RING.char_indices().filter(|(_, c)| *c == '"') {
        open = match open {
            None => Some(i + c.len_utf8()),
            Some(a) => {
                if RING[a..i].parse::<f64>().is_ok() {
                    out.push(a..i);
                }
                None
            }
        };
    }
    out
}

fn replace(range: std::ops::Range<usize>, with: &str) -> String {
    let mut text = RING.to_owned();
    text.replace_range(range, with);
    text
}

#[test]
fn the_unchanged_ring_loads() {
    let map = RoadMap::from_xodr("ring", RING).unwrap();
    assert_eq!(map.driving_lanes().len(), 4);
    assert!(map.driving_lanes().iter().all(|l| map.successors(*l).len() == 1));
    exercise(&map);
}

#[test]
fn every_number_may_be_any_number() {
    let odd = ["NaN", "inf", "-1", "0", "1e-12", "1e9", "-1e9", "1e308", "", "x", "199", "7.5"];
    let mut loaded = 0;
    for range in numbers() {
        for value in odd {
            if let Ok(map) = RoadMap::from_xodr("ring", &replace(range.clone(), value)) {
                exercise(&map);
                loaded += 1;
            }
        }
    }
    assert!(loaded > 300, "only {loaded} of the changed maps load");
}

#[test]
fn nonsense_is_refused_with_the_roads_id() {
    let cases = [
        ("length=\"40\"", "length=\"NaN\""),
        ("length=\"40\"", "length=\"-4\""),
        ("hdg=\"0\" length=\"20\"", "hdg=\"0\" length=\"-20\""),
        ("elementId=\"2\" contactPoint=\"start\"", "elementId=\"77\" contactPoint=\"start\""),
    ];
    for (from, to) in cases {
        assert!(RING.contains(from));
        match RoadMap::from_xodr("ring", &RING.replacen(from, to, 1)) {
            Err(MapError::Road { road, .. }) => assert_eq!(road, "1", "{to}"),
            other => panic!("{to}: {:?}", other.map(|m| m.name().to_owned())),
        }
    }
    let empty = RoadMap::from_xodr("x", "<OpenDRIVE/>");
    assert!(matches!(empty, Err(MapError::NoRoads)));
    let other = RoadMap::from_xodr("x", "<osm/>");
    assert!(matches!(other, Err(MapError::NotOpenDrive(_))));
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = "<a>".repeat(300_000);
    assert!(matches!(RoadMap::from_xodr("deep", &deep), Err(MapError::Xml(_))));
    let closed =
        format!("<OpenDRIVE>{}{}</OpenDRIVE>", "<a>".repeat(50_000), "</a>".repeat(50_000));
    assert!(matches!(RoadMap::from_xodr("deep", &closed), Err(MapError::NoRoads)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn cut_xml_is_an_error(at in 1..RING.len() - 12) {
        prop_assert!(RoadMap::from_xodr("cut", &RING[..at]).is_err());
    }

    #[test]
    fn any_change_is_a_map_or_an_error(at in 0..RING.len(), len in 0_usize..40, with in "[ -~]{0,12}") {
        let end = (at + len).min(RING.len());
        if let Ok(map) = RoadMap::from_xodr("changed", &replace(at..end, &with)) {
            exercise(&map);
        }
    }

    #[test]
    fn several_numbers_at_once(changes in prop::collection::vec((0_usize..1000, -1e4_f64..1e4), 1..6)) {
        let all = numbers();
        let mut picks: Vec<_> = changes.iter().map(|(i, v)| (i % all.len(), v)).collect();
        picks.sort_by_key(|p| std::cmp::Reverse(p.0));
        picks.dedup_by_key(|p| p.0);
        let mut text = RING.to_owned();
        for (i, v) in picks {
            text.replace_range(all[i].clone(), &v.to_string());
        }
        if let Ok(map) = RoadMap::from_xodr("numbers", &text) {
            exercise(&map);
        }
    }
}
