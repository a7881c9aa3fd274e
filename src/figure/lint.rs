//! Looks over a finished sheet as a careful co-author would, and says in sentences what is wrong
//! with it: cut labels, tiny type, a key over the data, empty panels. Changes nothing.

use super::paper::{Record, Rect, Words};

/// Venues ask for nothing smaller, in points.
const SMALLEST_PT: f64 = 6.0;
/// Kerning is not in our measure; less than this beyond the page is not visible, in points.
const SLACK_PT: f64 = 0.3;

/// Everything to tell about a sheet, the figure's own notes first.
pub(super) fn sentences(record: &Record) -> Vec<String> {
    let mut all = record.notes.clone();
    all.extend(record.words.iter().filter_map(|words| cut(words, record)));
    all.extend(record.words.iter().filter_map(tiny));
    all.extend(overlaps(&record.words));
    all.extend(record.legends.iter().filter_map(|legend| covered(legend, record)));
    let empty = record.panes.iter().filter(|pane| pane.marks == 0);
    all.extend(empty.map(|pane| format!("panel `{}` is empty", pane.name)));
    if record.panes.is_empty() {
        all.push("the figure has no panels".to_owned());
    }
    all.extend(record.unknown.iter().map(|(name, label)| {
        format!(
            "label `{label}` uses `\\{name}`, which is set as written: it is no command known here"
        )
    }));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|sentence| seen.insert(sentence.clone()));
    all
}

fn cut(words: &Words, record: &Record) -> Option<String> {
    let at = &words.at;
    let beyond = [-at.x, -at.y, at.right() - record.width_pt, at.bottom() - record.height_pt]
        .into_iter()
        .fold(0.0, f64::max);
    (beyond > SLACK_PT).then(|| format!("text `{}` leaves the page by {beyond:.1} pt", words.text))
}

fn tiny(words: &Words) -> Option<String> {
    (words.size_pt < SMALLEST_PT).then(|| {
        let size = words.size_pt;
        format!("text `{}` is set at {size:.1} pt; venues ask for 6 pt or more", words.text)
    })
}

fn overlaps(words: &[Words]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, a) in words.iter().enumerate() {
        for b in &words[..i] {
            let (across, down) = a.at.overlap(&b.at);
            // Boxes include room for descenders, so a little in height is harmless.
            if across > 0.5 && down > 0.3 * a.size_pt {
                found.push(format!("text `{}` runs into text `{}`", a.text, b.text));
            }
        }
    }
    found
}

fn covered(legend: &Rect, record: &Record) -> Option<String> {
    let inside = record.ink.iter().filter(|point| legend.contains(**point)).count();
    (inside > 0).then(|| format!("the legend lies over data (points of ink beneath: {inside})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::paper::{Anchor, Pane, Paper, Type};

    fn check(draw: impl FnOnce(&Paper), expect: &[&str]) {
        let paper = Paper::new(100.0, 50.0);
        paper.with_record(|record| record.panes.push(Pane { name: "a".into(), marks: 1 }));
        draw(&paper);
        assert_eq!(sentences(&paper.finish("").1), expect);
    }

    #[test]
    fn a_cut_label_is_found() {
        let draw = |paper: &Paper| {
            paper.text((99.0, 20.0), "$n = 0$", Type::new(8.0, Anchor::Middle));
        };
        let paper = Paper::new(100.0, 50.0);
        draw(&paper);
        let all = sentences(&paper.finish("").1);
        assert!(all[0].starts_with("text `n=0` leaves the page by "), "{all:?}");
    }

    #[test]
    fn tiny_type_is_found() {
        check(
            |paper| {
                paper.text((50.0, 20.0), "x", Type::new(5.0, Anchor::Middle));
            },
            &["text `x` is set at 5.0 pt; venues ask for 6 pt or more"],
        );
    }

    #[test]
    fn texts_on_one_another_are_found() {
        check(
            |paper| {
                paper.text((50.0, 20.0), "below", Type::new(8.0, Anchor::Middle));
                paper.text((52.0, 21.0), "above", Type::new(8.0, Anchor::Middle));
            },
            &["text `above` runs into text `below`"],
        );
    }

    #[test]
    fn a_legend_over_data_is_found() {
        check(
            |paper| {
                paper.with_record(|record| {
                    record.legends.push(Rect::new(10.0, 10.0, 20.0, 20.0));
                    record.ink.extend([(15.0, 15.0), (40.0, 40.0)]);
                });
            },
            &["the legend lies over data (points of ink beneath: 1)"],
        );
    }

    #[test]
    fn empty_panels_and_unknown_commands_are_found() {
        check(
            |paper| {
                paper.with_record(|record| {
                    record.panes.push(Pane { name: "b".into(), marks: 0 });
                });
                paper.text((10.0, 20.0), r"$\foo$", Type::new(8.0, Anchor::Start));
            },
            &[
                "panel `b` is empty",
                r"label `$\foo$` uses `\foo`, which is set as written: it is no command known here",
            ],
        );
    }
}
