//! The counterfactual ledger: what each correction would have done to the same predictions, and
//! whether that was nearer to the expert, group by group.

use std::collections::BTreeMap;

use caril_core::{CameraSpec, CorrectionMode, PolicyCard, StepRecord};
use caril_eval::confidence::{Group, SPEED_EDGES_MPS, groups_of};
use caril_eval::driving::{ActionTick, Counterfactual, counterfactual};
use caril_eval::report::{Shares, share_plot};
use serde::Serialize;

use super::say::mode_name;

/// The corrections that are compared with doing nothing.
pub const MODES: [CorrectionMode; 2] = [CorrectionMode::Paper, CorrectionMode::Calibrated];

/// A steer that moves less counts as unchanged, CARLA scale.
const LEAST_CHANGE: f64 = 1e-6;

/// One row.
#[derive(Debug, Serialize)]
pub struct LedgerRow {
    /// Pack; the second of a name gets a number.
    pub policy: String,
    /// Its weights.
    pub weights_sha256: String,
    /// Correction.
    pub correction: CorrectionMode,
    /// `all`, `course`, `speed`, `weather` or `confidence`.
    pub group: &'static str,
    /// Which of the group.
    pub value: String,
    /// Rates, gains and errors; steers on CARLA's scale.
    #[serde(flatten)]
    pub result: Counterfactual,
}

struct Entry {
    tick: ActionTick,
    groups: [Group; 3],
    weather: usize,
    confidence: f32,
}

/// Ticks of all recordings, by pack and correction.
#[derive(Default)]
pub struct Ledger {
    /// By pack's and correction's number.
    entries: BTreeMap<(usize, usize), Vec<Entry>>,
    packs: Vec<Pack>,
    weathers: Vec<String>,
}

/// A pack as the rows name it.
struct Pack {
    name: String,
    /// Without its camera, which is the recording's: what makes two packs of a name differ.
    card: PolicyCard,
}

impl Ledger {
    /// Ready for the steps of one recording.
    pub fn drive(&mut self, card: &PolicyCard) -> Drive<'_> {
        let card = PolicyCard { camera: CameraSpec::PAPER, ..card.clone() };
        let pack = match self.packs.iter().position(|p| p.card == card) {
            Some(k) => k,
            None => {
                let taken: Vec<&str> = self.packs.iter().map(|p| p.name.as_str()).collect();
                let name = free_name(&card.name, &taken);
                self.packs.push(Pack { name, card: card.clone() });
                self.packs.len() - 1
            }
        };
        Drive { steer_scale: f64::from(card.steer_scale), ledger: self, pack }
    }

    fn weather(&mut self, name: &str) -> usize {
        if let Some(k) = self.weathers.iter().position(|w| w == name) {
            return k;
        }
        self.weathers.push(name.to_owned());
        self.weathers.len() - 1
    }

    /// The rows, of groups that have ticks.
    ///
    /// # Errors
    /// Of the formulas; none for finite steers, and no others are taken in.
    pub fn rows(&self) -> anyhow::Result<Vec<LedgerRow>> {
        let mut rows = Vec::new();
        for ((pack, mode), entries) in &self.entries {
            let Some(correction) = MODES.get(*mode).copied() else { continue };
            let Some(Pack { name, card }) = self.packs.get(*pack) else { continue };
            let deciles = Deciles::of(entries);
            // Ordered by group, then by what is in it.
            let mut by: BTreeMap<(usize, usize), (&'static str, String, Vec<ActionTick>)> =
                BTreeMap::new();
            for e in entries {
                let mut add = |at: (usize, usize), group, value: String| {
                    by.entry(at).or_insert_with(|| (group, value, Vec::new())).2.push(e.tick);
                };
                for group in e.groups {
                    match group {
                        Group::All => add((0, 0), "all", String::new()),
                        Group::Straight => add((1, 0), "course", "straight".into()),
                        Group::Turn => add((1, 1), "course", "turn".into()),
                        Group::Speed(k) => add((2, k.into()), "speed", band(k.into())),
                    }
                }
                let weather = self.weathers.get(e.weather).cloned().unwrap_or_default();
                add((3, e.weather), "weather", weather);
                let (k, range) = deciles.find(e.confidence);
                add((4, k), "confidence", range);
            }
            for (group, value, ticks) in by.into_values() {
                let result = counterfactual(&ticks, LEAST_CHANGE)?;
                let (policy, weights_sha256) = (name.clone(), card.weights_sha256.clone());
                rows.push(LedgerRow { policy, weights_sha256, correction, group, value, result });
            }
        }
        Ok(rows)
    }
}

/// A drawing per pack and correction that changed anything, with the name of its file: the shares
/// of ticks on which it came nearer to the expert and further away.
pub fn plots(rows: &[LedgerRow]) -> Vec<(String, String)> {
    let mut kinds: Vec<(&str, CorrectionMode)> = Vec::new();
    for row in rows.iter().filter(|row| row.result.activated > 0) {
        if !kinds.contains(&(&row.policy, row.correction)) {
            kinds.push((&row.policy, row.correction));
        }
    }
    let draw = |(policy, correction): (&str, CorrectionMode)| {
        let of = |row: &&LedgerRow| row.policy == policy && row.correction == correction;
        let texts: Vec<(String, String, &Counterfactual)> = rows
            .iter()
            .filter(of)
            .map(|row| {
                let name = format!("{} {}", row.group, row.value);
                (name, format!("{} ticks", row.result.ticks), &row.result)
            })
            .collect();
        let bars: Vec<Shares<'_>> = texts
            .iter()
            .map(|(name, note, r)| {
                let share = |rate: Option<f64>| r.activation_rate * rate.unwrap_or(0.0);
                let (worse, better) = (share(r.harm_rate), share(r.benefit_rate));
                Shares { name, worse, better, note }
            })
            .collect();
        let mode = mode_name(correction);
        let title = format!("{policy}, correction {mode}: nearer to the expert or further");
        (format!("{policy}.{mode}"), share_plot(&title, "share of ticks, %", &bars))
    };
    kinds.into_iter().map(draw).collect()
}

/// The steps of one recording with one pack.
pub struct Drive<'a> {
    ledger: &'a mut Ledger,
    pack: usize,
    steer_scale: f64,
}

impl Drive<'_> {
    /// The pack as the rows name it.
    pub fn policy(&self) -> String {
        self.ledger.packs.get(self.pack).map_or_else(String::new, |p| p.name.clone())
    }

    /// A step, as each of [`MODES`] would have it, in its weather. Without truth or prediction
    /// there is nothing to compare.
    pub fn add(&mut self, now: &[StepRecord], weather: &str) {
        let weather = self.ledger.weather(weather);
        for (mode, step) in now.iter().enumerate() {
            let Some(truth) = step.truth.filter(|_| step.predicted) else { continue };
            let tick = ActionTick {
                raw: step.steer_raw.into(),
                corrected: step.steer_corrected.into(),
                expert: truth.expert_steer.into(),
            };
            let speed_mps = f64::from(step.ego.speed_mps);
            if [tick.raw, tick.corrected, tick.expert, speed_mps].iter().all(|v| v.is_finite()) {
                let groups = groups_of(tick.expert / self.steer_scale, speed_mps);
                let entry = Entry { tick, groups, weather, confidence: step.confidence };
                self.ledger.entries.entry((self.pack, mode)).or_default().push(entry);
            }
        }
    }
}

/// The name, or with a number if it is taken.
fn free_name(name: &str, taken: &[&str]) -> String {
    let numbered = (2..).map(|n| format!("{name} ({n})"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|n| !taken.contains(&n.as_str())).unwrap_or_else(|| name.to_owned())
}

fn band(k: usize) -> String {
    let edge = |k: usize| SPEED_EDGES_MPS.get(k);
    match (k.checked_sub(1).and_then(edge), edge(k)) {
        (None, Some(to)) => format!("below {to} m/s"),
        (Some(from), Some(to)) => format!("{from} to {to} m/s"),
        (Some(from), None) => format!("from {from} m/s"),
        (None, None) => String::new(),
    }
}

/// Tenths of all ticks by their confidence (highest class probability).
struct Deciles(Vec<f32>);

impl Deciles {
    fn of(entries: &[Entry]) -> Self {
        let mut sorted: Vec<f32> = entries.iter().map(|e| e.confidence).collect();
        sorted.sort_by(f32::total_cmp);
        Self((1..10).filter_map(|k| sorted.get(sorted.len() * k / 10).copied()).collect())
    }

    fn find(&self, confidence: f32) -> (usize, String) {
        let k = self.0.iter().filter(|edge| confidence >= **edge).count();
        let text = match (k.checked_sub(1).and_then(|k| self.0.get(k)), self.0.get(k)) {
            (None, Some(to)) => format!("below {to:.3}"),
            (Some(from), Some(to)) => format!("{from:.3} to {to:.3}"),
            (Some(from), None) => format!("from {from:.3}"),
            (None, None) => String::new(),
        };
        (k, text)
    }
}

#[cfg(test)]
mod tests {
    use caril_core::{Architecture, Truth};

    use super::*;

    fn step(raw: f32, corrected: f32, confidence: f32) -> StepRecord {
        let truth = Truth { expert_steer: 0.2, ..Truth::default() };
        StepRecord {
            predicted: true,
            confidence,
            steer_raw: raw,
            steer_corrected: corrected,
            truth: Some(truth),
            ..StepRecord::default()
        }
    }

    fn card(name: &str, steer_scale: f32) -> PolicyCard {
        let card = PolicyCard::new(name, Architecture::PilotNet, &CameraSpec::PAPER);
        PolicyCard { steer_scale, ..card }
    }

    #[test]
    fn packs_of_one_name_and_weathers_of_one_recording_are_told_apart() {
        let mut ledger = Ledger::default();
        let first = PolicyCard { weights_sha256: "aa".into(), ..card("default", 0.5) };
        let second = PolicyCard { weights_sha256: "bb".into(), ..first.clone() };
        // The camera is the recording's, and makes no other pack.
        let camera = CameraSpec { width: 80, ..CameraSpec::PAPER };
        let again = PolicyCard { camera, ..first.clone() };
        for (card, weather) in [(&first, "Clear"), (&second, "Clear"), (&again, "Fog")] {
            let mut drive = ledger.drive(card);
            drive.add(&[step(0.1, 0.15, 0.9), step(0.1, 0.1, 0.9)], weather);
        }
        let rows = ledger.rows().unwrap();
        let of = |policy: &str, group: &str| {
            rows.iter()
                .filter(|r| r.correction == CorrectionMode::Paper)
                .filter(|r| r.policy == policy && r.group == group)
                .map(|r| (r.weights_sha256.as_str(), r.value.as_str(), r.result.ticks))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("default", "all"), [("aa", "", 2)]);
        assert_eq!(of("default (2)", "all"), [("bb", "", 1)]);
        assert_eq!(of("default", "weather"), [("aa", "Clear", 1), ("aa", "Fog", 1)]);
    }

    #[test]
    fn harm_and_benefit_fall_into_their_groups() {
        let mut ledger = Ledger::default();
        let mut drive = ledger.drive(&card("p", 0.5));
        // The paper's mode helps on sure frames and harms on the others; the second does nothing.
        for k in 0..20 {
            let confidence = k as f32 / 20.0;
            let corrected = if k < 10 { 0.0 } else { 0.15 };
            drive.add(&[step(0.1, corrected, confidence), step(0.1, 0.1, confidence)], "Rain");
        }
        drive.add(&[StepRecord { predicted: false, ..step(0.1, 0.5, 0.5) }], "Rain");
        drive.add(&[StepRecord { truth: None, ..step(0.1, 0.5, 0.5) }], "Rain");
        let rows = ledger.rows().unwrap();
        let find = |mode, group: &str| {
            rows.iter()
                .filter(|r| r.correction == mode && r.group == group)
                .map(|r| (r.value.as_str(), r.result))
                .collect::<Vec<_>>()
        };
        let all = find(CorrectionMode::Paper, "all")[0].1;
        assert_eq!((all.ticks, all.activated), (20, 20));
        assert_eq!((all.harm_rate, all.benefit_rate), (Some(0.5), Some(0.5)));
        let deciles = find(CorrectionMode::Paper, "confidence");
        assert_eq!(deciles.len(), 10);
        for (k, (_, result)) in deciles.iter().enumerate() {
            assert_eq!((result.ticks, result.harm_rate), (2, Some(f64::from(k < 5))));
        }
        let drawn = plots(&rows);
        assert_eq!(drawn.len(), 1, "the other changed nothing");
        assert_eq!(drawn[0].0, "p.paper");
        assert!(drawn[0].1.contains("course turn") && drawn[0].1.contains("20 ticks"));
        // Expert steer 0.2 of 0.5 is a turn; nobody moved.
        assert_eq!(find(CorrectionMode::Paper, "course")[0].0, "turn");
        assert_eq!(find(CorrectionMode::Paper, "speed")[0].0, "below 3 m/s");
        assert_eq!(find(CorrectionMode::Calibrated, "all")[0].1.activated, 0);
    }
}
