//! Confidence, filter and test against scikit-learn, scipy and numpy; the vectors are made by
//! docs/checks/confidence_vectors.py.

mod common;

use caril_eval::confidence as c;
use caril_eval::driving::{savgol_slope, savgol_smooth};
use caril_eval::stats::{quantile, sign_test};
use common::{Case, assert_close, cases};

const VECTORS: &str = include_str!("data/confidence.txt");
const RELATIVE: f64 = 1e-10;

fn case(name: &str) -> Case {
    cases(VECTORS).into_iter().find(|c| c.name == name).expect(name)
}

fn bools(values: &[f64]) -> Vec<bool> {
    values.iter().map(|v| *v != 0.0).collect()
}

fn classes(values: &[f64]) -> Vec<usize> {
    values.iter().map(|v| *v as usize).collect()
}

#[test]
fn classification() {
    let v = case("classes");
    let probs: Vec<[f32; 11]> =
        v.all("counts").as_chunks::<11>().0.iter().map(|r| r.map(|n| n as f32 / 1024.0)).collect();
    let labels = classes(v.all("labels"));
    let top: Vec<usize> = probs.iter().map(c::argmax).collect();
    let table = c::confusion::<11>(&top, &labels).unwrap();
    let flat: Vec<f64> = table.counts.iter().flatten().map(|n| *n as f64).collect();
    assert_eq!(flat, v.all("confusion"));
    assert_close("accuracy", table.accuracy().unwrap(), v.one("accuracy"), RELATIVE);
    assert_close("near", table.accuracy_within(1).unwrap(), v.one("near"), RELATIVE);
    let balanced = table.balanced_accuracy().unwrap();
    assert_close("balanced", balanced, v.one("balanced"), RELATIVE);
    for (k, expected) in v.all("precision").iter().enumerate() {
        assert_close("precision", table.precision(k).unwrap_or(0.0), *expected, RELATIVE);
    }
    assert_close("brier", c::brier(&probs, &labels).unwrap(), v.one("brier"), RELATIVE);
    // scikit-learn works in single precision here, as the probabilities are.
    assert_close("nll", c::nll(&probs, &labels).unwrap(), v.one("nll"), 1e-6);
    let confidence: Vec<f64> = probs.iter().zip(&top).map(|(p, k)| f64::from(p[*k])).collect();
    let correct: Vec<bool> = top.iter().zip(&labels).map(|(a, b)| a == b).collect();
    let ece = c::expected_calibration_error(&confidence, &correct).unwrap();
    assert_close("ece", ece, v.one("ece"), RELATIVE);
}

#[test]
fn calibration() {
    let v = case("calibration without ties");
    let (confidence, correct) = (v.all("confidence"), bools(v.all("correct")));
    let ece = c::expected_calibration_error(confidence, &correct).unwrap();
    assert_close("ece", ece, v.one("ece"), RELATIVE);
    let ace = c::adaptive_calibration_error(confidence, &correct).unwrap();
    assert_close("ace", ace, v.one("ace"), RELATIVE);
}

#[test]
fn ranking_with_and_without_ties() {
    for name in ["ranking without ties", "ranking with ties", "ranking, one failure"] {
        let v = case(name);
        let (score, failure) = (v.all("score"), bools(v.all("failure")));
        let close = |key: &str, got: f64| assert_close(name, got, v.one(key), RELATIVE);
        close("auroc", c::auroc(score, &failure).unwrap());
        close("ap", c::average_precision(score, &failure).unwrap());
        for at in [0.5, 0.95, 1.0] {
            let key = format!("fpr_at_{at:?}");
            close(&key, c::fpr_at_tpr(score, &failure, at).unwrap());
        }
        close("fpr_at_0.95", c::fpr_at_95_tpr(score, &failure).unwrap());
    }
}

#[test]
fn selective_risk() {
    for name in ["selective without ties", "selective with ties"] {
        let v = case(name);
        let (confidence, loss) = (v.all("confidence"), v.all("loss"));
        assert_close(name, c::aurc(confidence, loss).unwrap(), v.one("aurc"), RELATIVE);
        assert_close(name, c::augrc(confidence, loss).unwrap(), v.one("augrc"), RELATIVE);
        let curve = c::risk_coverage(confidence, loss).unwrap();
        let last = curve.last().expect("a point");
        let mean = loss.iter().sum::<f64>() / loss.len() as f64;
        assert_eq!(last.coverage, 1.0);
        assert_close(name, last.risk, mean, RELATIVE);
        // The measures must not depend on the order of the frames.
        let back = |v: &[f64]| v.iter().rev().copied().collect::<Vec<f64>>();
        assert_eq!(c::aurc(&back(confidence), &back(loss)), c::aurc(confidence, loss));
    }
}

#[test]
fn regression_and_conformal() {
    let v = case("regression");
    let (steer, expert) = (v.all("steer"), v.all("expert"));
    let e = c::steer_errors(steer, expert).unwrap();
    assert_close("mae", e.mae, v.one("mae"), RELATIVE);
    assert_close("rmse", e.rmse, v.one("rmse"), RELATIVE);
    assert_close("max", e.max, v.one("max"), RELATIVE);
    let scores: Vec<f64> = steer.iter().zip(expert).map(|(s, e)| (s - e).abs()).collect();
    for alpha in [0.05, 0.1, 0.3] {
        let key = format!("conformal_{alpha}");
        assert_close(&key, c::conformal_quantile(&scores, alpha).unwrap(), v.one(&key), RELATIVE);
    }
    for q in [0.025, 0.5, 0.95] {
        let key = format!("quantile_{q}");
        assert_close(&key, quantile(&scores, q).unwrap(), v.one(&key), RELATIVE);
    }
}

#[test]
fn filter() {
    let v = case("savgol");
    let values = v.all("values");
    let close = |key: &str, got: Vec<f64>| {
        assert_eq!(got.len(), v.all(key).len());
        got.iter().zip(v.all(key)).for_each(|(g, e)| assert_close(key, *g, *e, 1e-9));
    };
    close("smooth", savgol_smooth(values).unwrap());
    close("slope", savgol_slope(values, 0.05).unwrap());
    close("shortest", savgol_smooth(&values[..7]).unwrap());
}

#[test]
fn binomial() {
    let v = case("sign");
    for ([less, more], p) in v.all("pairs").as_chunks::<2>().0.iter().zip(v.all("p")) {
        let mut differences = vec![-1.0; *less as usize];
        differences.resize((less + more) as usize, 1.0);
        let got = sign_test(&differences).unwrap().p_value;
        assert!((got / p - 1.0).abs() < 1e-9, "{less} {more}: {got} {p}");
    }
}
