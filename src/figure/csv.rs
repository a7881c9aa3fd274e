//! Comma-separated text of a figure's data, full precision, RFC 4180 quotes. Knows rows and
//! fields only.

use super::math;

/// A table under construction.
pub(super) struct Csv(String);

impl Csv {
    pub(super) fn new(header: &[&str]) -> Self {
        Self(format!("{}\n", header.join(",")))
    }

    /// Appends a row: names first, then numbers; what is not a finite number stays empty.
    pub(super) fn row(&mut self, names: &[&str], numbers: &[f64]) {
        // Long series repeat their names, and laying out mathematics takes its time.
        let text = |name: &&str| match name.contains('$') {
            true => field(&math::plain(name)),
            false => field(name),
        };
        let names = names.iter().map(text);
        let numbers =
            numbers.iter().map(|x| if x.is_finite() { x.to_string() } else { String::new() });
        let fields: Vec<String> = names.chain(numbers).collect();
        self.0.push_str(&fields.join(","));
        self.0.push('\n');
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_numbers_exact_and_gaps_empty() {
        let mut csv = Csv::new(&["line", "x", "y"]);
        csv.row(&["a, \"b\""], &[0.1 + 0.2, f64::NAN]);
        assert_eq!(csv.finish(), "line,x,y\n\"a, \"\"b\"\"\",0.30000000000000004,\n");
    }
}
