//! From rows to figures: everything that `--json` prints of one pack on one data set.

use std::collections::BTreeMap;

use caril_core::{BIN_COUNT, Prediction};
use caril_eval::confidence::{
    Bin, ECE_BINS, Group, IntervalQuality, RiskCoverage, SteerErrors, adaptive_calibration_error,
    augrc, aurc, auroc, average_precision, brier, confusion, equal_width_bins, excess_aurc,
    fpr_at_95_tpr, interval_quality, mean_gap, nll, risk_coverage, steer_errors,
    steer_errors_by_group,
};
use caril_eval::driving::{ActionTick, Counterfactual, counterfactual};
use caril_eval::{Error, Result};
use serde::Serialize;

use super::row::{GROUPS, Row, SIGNAL_NAMES, SIGNALS};

/// A correction that moves the steer by less is none, normalised.
const LEAST_CHANGE: f64 = 1e-6;

/// The figures of one pack on one data set; steers on the pack's normalised scale.
#[derive(Serialize)]
pub struct Figures {
    /// Frames.
    pub frames: usize,
    /// The class head as a classifier.
    pub classes: Classes,
    /// The regression head: all frames, straight on and turns by the expert, bands of speed.
    pub steer: BTreeMap<String, SteerErrors>,
    /// The probabilities before and after the card's temperature.
    pub calibration: Calibration,
    /// Frames whose regression is too far from the expert, and who finds them.
    pub failure: Failure,
    /// All frames, and the groups of the conformal intervals: by regression and speed.
    pub groups: BTreeMap<&'static str, GroupFigures>,
}

/// The class head as a classifier.
#[derive(Serialize)]
pub struct Classes {
    /// Share of right classes.
    pub accuracy: f64,
    /// Neighbouring classes counted as right.
    pub accuracy_within_one: f64,
    /// Mean recall of the classes that occur.
    pub balanced_accuracy: f64,
    /// `[expert's class][network's class]`.
    pub confusion: [[u64; BIN_COUNT]; BIN_COUNT],
}

/// Probabilities before and after.
#[derive(Serialize)]
pub struct Calibration {
    /// The card's.
    pub temperature: f32,
    /// As the network gave them.
    pub before: Probabilities,
    /// At the temperature.
    pub after: Probabilities,
}

/// How true probabilities are.
#[derive(Serialize)]
pub struct Probabilities {
    /// Expected calibration error, 15 equally wide bins.
    pub ece: f64,
    /// The same with bins of equally many frames.
    pub ace: f64,
    /// Brier score, [0, 2].
    pub brier: f64,
    /// Nats a frame.
    pub nll: f64,
    /// The reliability diagram's.
    pub bins: Vec<Bin>,
}

/// Frames that are wrong, and who finds them.
#[derive(Serialize)]
pub struct Failure {
    /// |regression − expert| above which a frame is wrong.
    pub wrong_above: f32,
    /// So many are.
    pub wrong: usize,
    /// Share of all.
    pub share: f64,
    /// Every signal, in one order.
    pub signals: Vec<SignalFigures>,
}

/// How well a signal finds the wrong frames.
#[derive(Serialize)]
pub struct SignalFigures {
    /// Which.
    pub name: &'static str,
    /// Null without wrong frames, or without others; so the next two.
    pub auroc: Option<f64>,
    /// Average precision: chance gives the share of wrong frames.
    pub aupr: Option<f64>,
    /// False alarms where 95 % of the wrong frames are found.
    pub fpr95: Option<f64>,
    /// Of the share of wrong frames.
    pub aurc: f64,
    /// Of the share of wrong frames.
    pub augrc: f64,
    /// Area under the sparsification error of |regression − expert|.
    pub ause: f64,
    /// For the plot.
    #[serde(skip)]
    pub curve: Vec<RiskCoverage>,
}

/// One group of frames.
#[derive(Serialize)]
pub struct GroupFigures {
    /// The regression's errors.
    pub steer: SteerErrors,
    /// Share of wrong frames.
    pub wrong_share: f64,
    /// Of the conformal intervals; null for a card without.
    pub conformal: Option<IntervalQuality>,
    /// Activation, harm and benefit of the calibrated correction.
    pub calibrated: Counterfactual,
    /// The same of the paper's rule.
    pub paper: Counterfactual,
}

/// Measures one pack on one data set.
///
/// # Errors
/// If there are no rows.
pub fn figures(rows: &[&Row], temperature: f32, wrong_above: f32) -> Result<Figures> {
    let expert: Vec<f64> = rows.iter().map(|r| r.expert.into()).collect();
    let regression: Vec<f64> = rows.iter().map(|r| r.plain.regression().into()).collect();
    let speed: Vec<f64> = rows.iter().map(|r| r.speed_mps.into()).collect();
    let labels: Vec<usize> = rows.iter().map(|r| r.label).collect();
    let argmax: Vec<usize> = rows.iter().map(|r| r.plain.argmax()).collect();
    let table = confusion::<BIN_COUNT>(&argmax, &labels)?;
    let right: Vec<bool> = argmax.iter().zip(&labels).map(|(a, b)| a == b).collect();
    let of = |p: fn(&Row) -> &Prediction| probabilities(rows.iter().map(|r| p(r)), &right, &labels);
    let by_expert = steer_errors_by_group(&regression, &expert, &speed)?;
    let mut groups = BTreeMap::from([("all", group(rows, wrong_above)?)]);
    for (turn, names) in GROUPS.iter().enumerate() {
        for (fast, name) in names.iter().enumerate() {
            let inside: Vec<&Row> =
                rows.iter().copied().filter(|r| r.group == (turn, fast)).collect();
            if !inside.is_empty() {
                groups.insert(*name, group(&inside, wrong_above)?);
            }
        }
    }
    Ok(Figures {
        frames: rows.len(),
        classes: Classes {
            accuracy: table.accuracy()?,
            accuracy_within_one: table.accuracy_within(1)?,
            balanced_accuracy: table.balanced_accuracy()?,
            confusion: table.counts,
        },
        steer: by_expert.into_iter().map(|(g, e)| (group_name(g), e)).collect(),
        calibration: Calibration {
            temperature,
            before: of(|r| &r.plain)?,
            after: of(|r| &r.calibrated)?,
        },
        failure: failure(rows, wrong_above)?,
        groups,
    })
}

fn group_name(group: Group) -> String {
    match group {
        Group::All => "all".into(),
        Group::Straight => "straight".into(),
        Group::Turn => "turn".into(),
        Group::Speed(band) => match band {
            0 => "below_3_mps".into(),
            1 => "3_to_6_mps".into(),
            2 => "6_to_9_mps".into(),
            _ => "above_9_mps".into(),
        },
    }
}

fn probabilities<'a>(
    predictions: impl Iterator<Item = &'a Prediction>,
    right: &[bool],
    labels: &[usize],
) -> Result<Probabilities> {
    let (probs, confidence): (Vec<_>, Vec<f64>) =
        predictions.map(|p| (*p.probs(), f64::from(p.confidence()).min(1.0))).unzip();
    let bins = equal_width_bins(&confidence, right, ECE_BINS)?;
    Ok(Probabilities {
        ece: mean_gap(&bins)?,
        ace: adaptive_calibration_error(&confidence, right)?,
        brier: brier(&probs, labels)?,
        nll: nll(&probs, labels)?,
        bins,
    })
}

fn failure(rows: &[&Row], wrong_above: f32) -> Result<Failure> {
    let error: Vec<f64> = rows.iter().map(|r| r.error().into()).collect();
    let wrong: Vec<bool> = rows.iter().map(|r| r.error() > wrong_above).collect();
    let loss: Vec<f64> = wrong.iter().map(|w| f64::from(u8::from(*w))).collect();
    let of = |(i, &(name, _)): (usize, &(&'static str, &str))| -> Result<SignalFigures> {
        let confidence = confidence(rows, i);
        let doubt: Vec<f64> = confidence.iter().map(|c| -c).collect();
        Ok(SignalFigures {
            name,
            auroc: defined(auroc(&doubt, &wrong))?,
            aupr: defined(average_precision(&doubt, &wrong))?,
            fpr95: defined(fpr_at_95_tpr(&doubt, &wrong))?,
            aurc: aurc(&confidence, &loss)?,
            augrc: augrc(&confidence, &loss)?,
            ause: excess_aurc(&confidence, &error)?,
            curve: risk_coverage(&confidence, &loss)?,
        })
    };
    let count = wrong.iter().filter(|w| **w).count();
    Ok(Failure {
        wrong_above,
        wrong: count,
        share: count as f64 / rows.len().max(1) as f64,
        signals: SIGNAL_NAMES
            .iter()
            .enumerate()
            .filter(|(i, _)| measured(rows, *i))
            .map(of)
            .collect::<Result<_>>()?,
    })
}

/// Whether the rows have the signal.
fn measured(rows: &[&Row], signal: usize) -> bool {
    rows.iter().all(|r| r.signals.get(signal).is_some_and(|s| s.is_finite()))
}

/// One signal of every row.
fn confidence(rows: &[&Row], signal: usize) -> Vec<f64> {
    rows.iter().map(|r| r.signals.get(signal).copied().unwrap_or(0.0)).collect()
}

fn group(rows: &[&Row], wrong_above: f32) -> Result<GroupFigures> {
    let expert: Vec<f64> = rows.iter().map(|r| r.expert.into()).collect();
    let regression: Vec<f64> = rows.iter().map(|r| r.plain.regression().into()).collect();
    let intervals: Option<Vec<(f64, f64)>> = rows
        .iter()
        .zip(&regression)
        .map(|(row, r)| row.half_width.map(|w| (r - f64::from(w), r + f64::from(w))))
        .collect();
    let correction = |mode: usize| {
        let tick = |(row, r): (&&Row, &f64)| ActionTick {
            // What would be driven without correction: the controller limits it too.
            raw: r.clamp(-1.0, 1.0),
            corrected: row.corrected.get(mode).copied().unwrap_or(0.0).into(),
            expert: row.expert.into(),
        };
        counterfactual(&rows.iter().zip(&regression).map(tick).collect::<Vec<_>>(), LEAST_CHANGE)
    };
    let wrong = rows.iter().filter(|r| r.error() > wrong_above).count();
    Ok(GroupFigures {
        steer: steer_errors(&regression, &expert)?,
        wrong_share: wrong as f64 / rows.len().max(1) as f64,
        conformal: intervals.map(|i| interval_quality(&i, &expert)).transpose()?,
        calibrated: correction(0)?,
        paper: correction(1)?,
    })
}

/// AUROC of telling `shifted` from `clean` frames, by every signal; NaN by one that was not
/// measured.
///
/// # Errors
/// If either is empty.
pub fn shift(clean: &[&Row], shifted: &[&Row]) -> Result<[f64; SIGNALS]> {
    let is_shifted: Vec<bool> =
        (0..clean.len() + shifted.len()).map(|i| i >= clean.len()).collect();
    let mut found = [f64::NAN; SIGNALS];
    for (i, auc) in found.iter_mut().enumerate() {
        if !(measured(clean, i) && measured(shifted, i)) {
            continue;
        }
        let doubt: Vec<f64> =
            confidence(clean, i).into_iter().chain(confidence(shifted, i)).map(|c| -c).collect();
        *auc = auroc(&doubt, &is_shifted)?;
    }
    Ok(found)
}

/// `None` where a measure has no value on these frames, which is no error of the data set.
fn defined(measure: Result<f64>) -> Result<Option<f64>> {
    match measure {
        Err(Error::OneClass { .. } | Error::Undefined { .. }) => Ok(None),
        other => other.map(Some),
    }
}
