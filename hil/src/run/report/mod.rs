//! What is left of a run: a table on the terminal, results.json, junit.xml, report.html.

mod html;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::Results;
use super::incidents::Incident;
use crate::fault::Expect;

/// Writes the three files.
///
/// # Errors
/// If one cannot be written.
pub fn write(results: &Results, dir: &Path) -> anyhow::Result<()> {
    let files = [
        ("results.json", serde_json::to_string_pretty(results)? + "\n"),
        ("junit.xml", junit(results)),
        ("report.html", html::page(results)),
    ];
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A number as short as it may be.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        v if v == 0.0 || v >= 1000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.01 => 3,
        _ => 5,
    };
    format!("{value:.digits$}")
}

fn maybe(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{} {unit}", number(v)).trim_end().to_owned())
}

/// What came of a fault, in words.
pub(super) fn outcome(i: &Incident) -> String {
    if let Some(why) = &i.skipped {
        return format!("skipped: {why}");
    }
    let mut parts = Vec::new();
    match i.noticed_s {
        Some(s) => parts.push(format!("noticed after {} s", number(s))),
        None => parts.push("not noticed".to_owned()),
    }
    if let Some(s) = i.stop_began_s {
        parts.push(format!("stop from {} s on", number(s)));
    }
    if let (Some(s), Some(m)) = (i.stood_s, i.stood_m) {
        parts.push(format!("stood after {} s and {} m", number(s), number(m)));
    }
    if i.expected == Expect::Nothing
        && let Some((before, under)) = i.age_before_p99_ms.zip(i.age_p99_ms)
    {
        parts.push(format!("age p99 {} ms, before it {} ms", number(under), number(before)));
    }
    if let Some(s) = i.drove_on_s {
        parts.push(format!("drove on after {} s", number(s)));
    }
    parts.join(", ")
}

/// The table on the terminal.
pub fn terminal(r: &Results) -> String {
    let f = &r.figures;
    let mut text = format!(
        "{} in {}: {} frames in {} s, {:.0} m driven, {} controller(s) started; the plant's class: {}\n",
        r.target,
        r.map,
        f.frames,
        number(f.seconds),
        f.driven_m,
        r.controllers,
        r.plant_class
    );
    for v in &r.verdicts {
        let mark = match (v.passed, v.limit) {
            (false, _) => '✗',
            (true, Some(_)) => '✓',
            (true, None) => ' ',
        };
        let limit = v.limit.map_or_else(String::new, |l| format!("{} {}", v.sign, number(l)));
        let _ = writeln!(text, "{mark} {:<36} {:>14}   {limit}", v.name, maybe(v.got, v.unit));
    }
    for i in &r.incidents {
        let mark = match (&i.skipped, i.wrong.is_empty()) {
            (Some(_), true) => '-',
            (_, true) => '✓',
            (_, false) => '✗',
        };
        let _ = writeln!(
            text,
            "{mark} {:>6.1} s  {:<20} from {:>4.1} m/s: {}",
            i.at_s,
            i.name,
            i.from_mps,
            outcome(i)
        );
        for note in &i.notes {
            let _ = writeln!(text, "             {note}");
        }
        for wrong in &i.wrong {
            let _ = writeln!(text, "           ✗ {wrong}");
        }
    }
    if let Some(l) = &f.looked_on {
        let _ = writeln!(
            text,
            "  age p99 {} ms while nobody looked on ({} answers), {} ms with {} viewers ({} answers, {} messages, {:.0} MiB, {} turns)",
            number(l.alone_ms.p99),
            l.alone_answers,
            number(l.watched_ms.p99),
            l.viewers,
            l.watched_answers,
            l.messages,
            l.mib,
            l.turns
        );
    }
    for hash in &r.step_hashes {
        let _ = writeln!(text, "  step hash {hash}");
    }
    for wrong in &r.wrong {
        let _ = writeln!(text, "✗ {wrong}");
    }
    let skipped = r.incidents.iter().filter(|i| i.skipped.is_some()).count();
    if skipped > 0 {
        let _ = writeln!(text, "{skipped} fault(s) skipped");
    }
    text.push_str(if r.passed { "passed\n" } else { "NOT passed\n" });
    text
}

/// Text within XML or HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Control characters are in no XML.
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A test case for every verdict and every fault.
fn junit(r: &Results) -> String {
    let mut cases = String::new();
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    let mut case = |class: &str, name: &str, wrong: &str, skip: Option<&str>| {
        tests += 1;
        let _ = write!(cases, "  <testcase classname=\"{class}\" name=\"{}\"", escaped(name));
        if let Some(why) = skip {
            skipped += 1;
            let _ = writeln!(cases, "><skipped message=\"{}\"/></testcase>", escaped(why));
        } else if wrong.is_empty() {
            cases.push_str("/>\n");
        } else {
            failures += 1;
            let _ = writeln!(cases, "><failure message=\"{}\"/></testcase>", escaped(wrong));
        }
    };
    for v in &r.verdicts {
        let wrong = if v.passed {
            String::new()
        } else {
            let limit = v.limit.unwrap_or(f64::NAN);
            format!("{}, allowed {} {}", maybe(v.got, v.unit), v.sign, number(limit))
        };
        let skip = v.got.is_none().then_some("not measured in this run");
        case("budget", v.name, &wrong, skip);
    }
    for i in &r.incidents {
        let name = format!("{} at {} s", i.name, number(i.at_s));
        case("fault", &name, &i.wrong.join("; "), i.skipped.as_deref());
    }
    case("run", "as a whole", &r.wrong.join("; "), None);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"caril-hil\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{:.3}\">\n{cases}</testsuite>\n",
        r.figures.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_safe_within_xml() {
        assert_eq!(escaped("a<b & \"c\">\u{1b}"), "a&lt;b &amp; &quot;c&quot;&gt; ");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1234.5, "1234"),
            (12.345, "12.35"),
            (0.1234, "0.123"),
            (0.0001, "0.00010"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(f64::INFINITY), "–");
    }
}
