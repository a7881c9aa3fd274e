//! A table as words with marks: all that a language needs to write it.

use super::marks::Mark;
use super::verdict::Verdict;

/// A table as words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sheet {
    /// Above the columns; `$…$` is mathematics.
    pub headings: Vec<String>,
    /// How many columns hold words, from the left.
    pub words: usize,
    /// An entry for each heading.
    pub rows: Vec<Vec<Entry>>,
    /// Sentences for the caption.
    pub notes: Vec<String>,
    /// What is best, a sentence for each metric; `$…$` is mathematics.
    pub verdicts: Vec<Verdict>,
}

/// What stands at one place.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Words; `$…$` is mathematics.
    Word(String),
    /// A number with its spread, at the decimals of its column.
    Number {
        /// The number.
        mean: String,
        /// Behind ±.
        spread: Option<String>,
        /// Whether it is the best.
        mark: Mark,
        /// In parentheses behind it.
        note: Option<String>,
    },
    /// Nothing is there.
    Missing {
        /// Because every attempt has failed.
        failed: bool,
    },
}

impl Sheet {
    /// A sheet of words alone, such as settings and their values.
    pub fn of_words(headings: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self {
            headings: headings.iter().map(|heading| (*heading).to_owned()).collect(),
            words: headings.len(),
            rows: rows.into_iter().map(|row| row.into_iter().map(Entry::Word).collect()).collect(),
            notes: vec![],
            verdicts: vec![],
        }
    }
}
