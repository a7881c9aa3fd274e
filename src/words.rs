//! Numbers and words as people write and read them: `60k`, `2m`, `40GB`, "3 nodes", "did you mean".
//! Text in, values out, and back; nothing here knows what the numbers are for.

use std::time::Duration;

/// Reads a count: digits with optional `_`, decimals and a `k`, `M` or `G` (1e3, 1e6, 1e9); also `1e5`.
pub fn count(text: &str) -> Option<u64> {
    let (digits, factor) = split_suffix(text, &[("k", 1e3), ("M", 1e6), ("G", 1e9), ("", 1.0)])?;
    let value = plain_number(digits)? * factor;
    let whole = value.round();
    ((value - whole).abs() < 1e-6 && (0.0..=9e15).contains(&whole)).then_some(whole as u64)
}

/// Reads a duration in seconds: `90s`, `2m`, `12h`, `3d`, or a bare number of seconds.
pub fn seconds(text: &str) -> Option<f64> {
    let units = [
        ("ms", 1e-3),
        ("s", 1.0),
        ("min", 60.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86400.0),
        ("", 1.0),
    ];
    let (digits, factor) = split_suffix(text, &units)?;
    plain_number(digits).map(|value| value * factor).filter(|s| *s >= 0.0)
}

/// Reads a number of bytes: `20GB`, `512 MB`, `1.5GiB`.
pub fn bytes_of(text: &str) -> Option<u64> {
    let units = [
        ("TB", 1e12),
        ("GB", 1e9),
        ("MB", 1e6),
        ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
        ("GiB", 1024.0 * 1024.0 * 1024.0),
        ("MiB", 1024.0 * 1024.0),
    ];
    let (digits, factor) = split_suffix(text, &units)?;
    let bytes = plain_number(digits)? * factor;
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

/// Reads a number as people write it, `1e-4` and `1_000` included.
pub fn number(text: &str) -> Option<f64> {
    plain_number(text.trim())
}

fn plain_number(text: &str) -> Option<f64> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let value: f64 = if starts_well { text.replace('_', "").parse().ok()? } else { return None };
    value.is_finite().then_some(value)
}

fn split_suffix<'t>(text: &'t str, units: &[(&str, f64)]) -> Option<(&'t str, f64)> {
    let text = text.trim();
    units.iter().find_map(|(unit, factor)| {
        let digits = text.strip_suffix(unit)?.trim_end();
        digits.ends_with(|c: char| c.is_ascii_digit() || c == '.').then_some((digits, *factor))
    })
}

/// "1 node", "2 nodes".
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(n as u64)) }
}

/// 12345 as `12,345`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A span of seconds; what is no span at all becomes the nearest one.
pub fn span(seconds: f64) -> Duration {
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// A duration in at most two units: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 14 min`, `3 d 2 h`.
pub fn duration(span: Duration) -> String {
    let s = span.as_secs_f64();
    let whole = s.round() as u64;
    match whole {
        _ if s < 9.95 => format!("{s:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86400, whole % 86400 / 3600),
    }
}

/// A number to six significant digits: `0.0415`, `1.5e-7`; `–` for what is none.
pub fn significant(value: f64) -> String {
    const DIGITS: i32 = 6;
    if !value.is_finite() {
        return if value.is_nan() { "–".to_owned() } else { value.to_string() };
    }
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent.parse::<i32>() {
        Ok(exponent @ -4..DIGITS) => {
            trimmed(&format!("{value:.*}", (DIGITS - 1 - exponent) as usize))
        }
        _ => format!("{}e{exponent}", trimmed(mantissa)),
    }
}

/// A size in bytes as `1.5 MB` (powers of 1000).
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// `a`, `a or b`, `a, b or c`, each in backticks.
pub fn alternatives<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{}`", w.as_ref())).collect();
    joined(&quoted, "or")
}

/// What may have been meant by a misspelt word: the nearest known one, or else all of them.
pub fn suggestion(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", alternatives(known)),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed(words: &[String]) -> String {
    joined(words, "and")
}

fn joined(words: &[String], last_by: &str) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [many @ .., last] => format!("{} {last_by} {last}", many.join(", ")),
    }
}

/// The known word nearest to a misspelt one, if near enough to be worth suggesting.
pub fn nearest<'w>(wrong: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let limit = 1 + wrong.chars().count() / 4;
    known
        .into_iter()
        .map(|word| (edits(&wrong.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

/// The number of single-character insertions, deletions, changes and swaps between two words.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_people_write_them() {
        let cases = [
            ("60k", 60_000),
            ("2000", 2000),
            ("1e5", 100_000),
            ("1.5k", 1500),
            ("1_000", 1000),
            ("2M", 2_000_000),
        ];
        for (text, want) in cases {
            assert_eq!(count(text), Some(want), "{text}");
        }
        for text in ["", "k", "-3", "1.5", "2km", "nan", "inf", "1e99"] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, want) in
            [("90s", 90.0), ("2m", 120.0), ("12h", 43200.0), ("250ms", 0.25), ("7", 7.0)]
        {
            assert_eq!(seconds(text), Some(want), "{text}");
        }
        for (s, want) in
            [(0.42, "0.4 s"), (59.0, "59 s"), (185.0, "3 min 5 s"), (8040.0, "2 h 14 min")]
        {
            assert_eq!(duration(Duration::from_secs_f64(s)), want);
        }
    }

    #[test]
    fn any_number_makes_a_span() {
        for (seconds, want) in [(f64::NAN, 0), (-1.0, 0), (2.0, 2), (1e300, u64::MAX)] {
            assert_eq!(span(seconds).as_secs(), want, "{seconds}");
        }
    }

    #[test]
    fn sizes_and_counts_are_grouped() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(plural(1, "node"), "1 node");
        assert_eq!(plural(3000, "node"), "3,000 nodes");
    }

    #[test]
    fn numbers_are_written_to_six_digits() {
        let cases = [
            (0.0, "0"),
            (0.041_5, "0.0415"),
            (-2.0, "-2"),
            (123_456.7, "123457"),
            (1_234_567.0, "1.23457e6"),
            (1.5e-7, "1.5e-7"),
            (0.999_999_9, "1"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn the_nearest_word_is_suggested_only_when_near() {
        assert_eq!(nearest("shedule", ["schedule", "seed"]), Some("schedule"));
        assert_eq!(nearest("sede", ["schedule", "seed"]), Some("seed"));
        assert_eq!(nearest("banana", ["schedule", "seed"]), None);
    }
}
