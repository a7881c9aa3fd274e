//! What a spec asks to see → files: its tables and figures, made of the rows of finished nodes and
//! written into the experiment's folder for people. Also made from partial results, and marked so.

mod alike;
mod browse;
mod collect;
mod comparisons;
mod dag;
mod distributions;
mod forward;
mod output;
mod pictures;
mod spectra;
mod tables;
mod undecided;

pub use browse::{Line, Lines, Offer, Pivot, Shelf, Told};
pub use collect::check;
pub use dag::{States, folded, unfolded};
pub use output::{Basis, Output, OutputKind};
pub use undecided::{Undecided, undecided};

use crate::files::{self, write_aside};
use crate::graph::Graph;
use crate::key::Key;
use crate::problem::{Problem, Problems, Result};
use crate::record::Record;
use crate::spec::{FigureSpec, Spec, TableSpec};
use crate::store::Results;
use crate::table::{Spread, numbers_file};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What outputs are made of.
#[derive(Clone, Copy)]
pub struct Studio<'s> {
    /// The spec that asks for them.
    pub spec: &'s Spec,
    /// Its graph.
    pub graph: &'s Graph,
    /// Where finished nodes are.
    pub results: &'s Results,
    /// The numbers.
    pub record: &'s Record,
}

/// The question, the tables, and where everything is.
pub fn answer(spec: &Spec, outputs: &[Output]) -> String {
    let mut out = format!("\n{}\n", spec.question);
    for output in outputs {
        if let Some(sheet) = output.sheet.as_ref().filter(|sheet| !sheet.notes.is_empty()) {
            out += &format!("\n{}\n{}", output.name, sheet.terminal());
        }
    }
    for (kind, title) in [
        (OutputKind::Figure, "figures"),
        (OutputKind::Table, "tables"),
        (OutputKind::Numbers, "numbers"),
    ] {
        let mut those = outputs.iter().filter(|output| output.kind == kind).peekable();
        if those.peek().is_some() {
            out += &format!("\n{title}\n");
        }
        for output in those {
            out += &format!("  {}\n", output.told(&relative(&output.path)));
            out.extend(output.warnings.iter().map(|warning| format!("    {warning}\n")));
        }
    }
    out
}

/// A path as seen from the working directory, where that is shorter.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

impl Studio<'_> {
    /// Makes and writes all figures, tables and numbers, and renews the links of readable names.
    ///
    /// # Errors
    /// If something cannot be read, drawn or written.
    pub fn all(&self) -> Result<Vec<Output>, Problems> {
        let outputs = self.outputs()?;
        for output in &outputs {
            output.write(self.spec, self.graph)?;
        }
        link(self.spec, self.graph, self.results)?;
        Ok(outputs)
    }

    /// Makes all figures, tables and numbers, and writes nothing.
    ///
    /// # Errors
    /// If something cannot be read or drawn.
    pub fn outputs(&self) -> Result<Vec<Output>> {
        let mut outputs = self.figures(None)?;
        outputs.extend(self.tables(None)?);
        outputs.push(self.numbers()?);
        Ok(outputs)
    }

    /// Makes the figures, or only one.
    ///
    /// # Errors
    /// If there is no such figure, or something cannot be read or drawn.
    pub fn figures(&self, only: Option<&str>) -> Result<Vec<Output>> {
        let figures = chosen(&self.spec.figures, only, "figure")?;
        figures.into_iter().map(|(name, asked)| self.figure(name, asked)).collect()
    }

    /// Makes the tables, or only one.
    ///
    /// # Errors
    /// If there is no such table, or something cannot be read.
    pub fn tables(&self, only: Option<&str>) -> Result<Vec<Output>> {
        let tables = chosen(&self.spec.tables, only, "table")?;
        tables.into_iter().map(|(name, asked)| self.table(name, asked)).collect()
    }

    fn path(&self, folder: &str, file: &str) -> PathBuf {
        self.results.experiment(&self.spec.name).join(folder).join(file)
    }

    fn figure(&self, name: &str, asked: &FigureSpec) -> Result<Output> {
        let points = collect::points(self.graph, asked.shown());
        let declared = asked.target().and_then(|target| self.spec.split_path(target));
        let values = tables::Values::of(self.graph, self.record)?;
        let basis = match declared {
            Some((node, _)) => values.basis(&points, &node.name, self.results)?,
            None => Basis::default(),
        };
        let drawing = pictures::draw(*self, (name, asked), &points, (&basis, values))?;
        let (files, warnings) = match drawing {
            Some(drawing) => {
                let mut files = vec![
                    ("svg", drawing.svg.into_bytes()),
                    ("png", drawing.png),
                    ("csv", drawing.csv.into_bytes()),
                    ("pdf", drawing.pdf),
                ];
                files.extend(drawing.script.map(|script| ("py", script.into_bytes())));
                if let FigureSpec::Trajectory(asked) = asked {
                    files
                        .extend(distributions::film(*self, &points, asked).map(|gif| ("gif", gif)));
                }
                (files, drawing.warnings)
            }
            None => (vec![], vec![]),
        };
        Ok(Output {
            kind: OutputKind::Figure,
            name: name.to_owned(),
            path: self.path("figures", &format!("{name}.pdf")),
            files,
            basis,
            warnings,
            sheet: None,
        })
    }

    fn table(&self, name: &str, asked: &TableSpec) -> Result<Output> {
        let (sheet, csv, basis) = match &asked.settings {
            Some(node) => tables::settings(*self, asked, node)?,
            None => tables::written(*self, asked)?,
        };
        let form = tables::latex_form(asked);
        let sources = self.sources(&basis.nodes);
        let is_empty = basis.nodes.is_empty() && asked.settings.is_none();
        let files = match is_empty {
            true => vec![],
            false => vec![
                ("tex", sheet.latex(form, &sources).into_bytes()),
                ("md", sheet.markdown().into_bytes()),
                ("html", sheet.html().into_bytes()),
                ("csv", csv.into_bytes()),
            ],
        };
        Ok(Output {
            kind: OutputKind::Table,
            name: name.to_owned(),
            path: self.path("tables", &format!("{name}.tex")),
            files,
            basis,
            warnings: vec![],
            sheet: Some(sheet),
        })
    }

    fn numbers(&self) -> Result<Output> {
        let (numbers, basis, notes) = tables::numbers(*self)?;
        let mut heads = vec![self.sources(&BTreeSet::new())];
        heads.extend(notes.iter().cloned());
        let text = numbers_file(&numbers, Spread::Deviation, &heads);
        let files = match numbers.is_empty() {
            true => vec![],
            false => vec![("tex", text.into_bytes())],
        };
        Ok(Output {
            kind: OutputKind::Numbers,
            name: "numbers".to_owned(),
            path: self.path("tables", "numbers.tex"),
            files,
            basis,
            warnings: notes,
            sheet: None,
        })
    }

    /// What the outputs were made by, and of which spec.
    pub fn made_by(&self) -> String {
        self.sources(&BTreeSet::new())
    }

    /// What a file says of its making: program, spec and nodes.
    fn sources(&self, nodes: &BTreeSet<Key>) -> String {
        let keys: Vec<String> = nodes.iter().map(Key::short).collect();
        let made = format!("{}; spec {}", output::program(), output::spec_digest(self.spec));
        if keys.is_empty() { made } else { format!("{made}; nodes {}", keys.join(" ")) }
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))
}

fn chosen<'o, T>(
    all: &'o [(String, T)],
    only: Option<&str>,
    what: &str,
) -> Result<Vec<&'o (String, T)>> {
    let Some(name) = only else { return Ok(all.iter().collect()) };
    match all.iter().find(|(known, _)| known == name) {
        Some(found) => Ok(vec![found]),
        None => {
            let known: Vec<&String> = all.iter().map(|(known, _)| known).collect();
            let help = format!("known: {}", crate::words::alternatives(&known));
            Err(Problem::new(format!("there is no {what} `{name}`")).help(help))
        }
    }
}

/// `results/<experiment>/runs/<readable name>` → the node's folder, for every finished node.
fn link(spec: &Spec, graph: &Graph, results: &Results) -> Result<()> {
    let folder = results.experiment(&spec.name).join("runs");
    make(&folder)?;
    let finished = results.list()?.finished;
    let links: BTreeMap<String, String> = graph
        .nodes
        .node_weights()
        .map(|node| (files::named(&node.name, &node.key.short()), node.folder()))
        .filter(|(_, folder)| finished.contains(folder))
        .collect();
    // What was linked so last time is not looked at link by link.
    let stamp = folder.join(".links");
    let digest = blake3::hash(format!("{links:?}").as_bytes()).to_hex().to_string();
    if fs::read_to_string(&stamp).is_ok_and(|known| known == digest) {
        return Ok(());
    }
    let old = fs::read_dir(&folder).map_err(|e| Problem::os("list", &folder, &e))?.flatten();
    let is_other = |name: &str| !links.contains_key(name) && !name.starts_with(files::LINKING);
    for link in old.filter(|entry| is_other(&entry.file_name().to_string_lossy())) {
        // What is no link of ours stays.
        if link.file_type().is_ok_and(|kind| kind.is_symlink()) {
            let _ = fs::remove_file(link.path());
        }
    }
    for (name, node) in links {
        files::link(&Path::new("../../nodes").join(node), &folder.join(name))?;
    }
    write_aside(&stamp, digest.as_bytes())
}
