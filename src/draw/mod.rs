//! What a spec asks to see → files: its tables and figures, made of the rows of finished nodes and
//! written into the experiment's folder for people. Also made from partial results, and marked so.

mod alike;
mod collect;
mod forward;
mod pictures;
mod undecided;

pub use collect::check;
pub use undecided::{Undecided, undecided};

use crate::files::write_aside;
use crate::graph::{Graph, Node};
use crate::problem::{Problem, Problems, Result};
use crate::record::Record;
use crate::spec::Spec;
use crate::store::Results;
use crate::table::Table;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that was drawn.
pub struct Drawn {
    tables: Vec<(String, Table, PathBuf)>,
    figures: Vec<Picture>,
}

/// A figure on disk.
pub struct Picture {
    /// Its PDF; SVG, PNG and CSV stand beside it.
    pub path: PathBuf,
    /// Whether it was drawn: not while there is nothing to show.
    pub is_drawn: bool,
    /// What a reader of the figure should know of its drawing.
    pub warnings: Vec<String>,
}

impl Drawn {
    /// The question, the tables, and where everything is.
    pub fn answer(&self, spec: &Spec) -> String {
        let mut out = format!("\n{}\n", spec.question);
        for (name, table, _) in &self.tables {
            out += &format!("\n{name}\n{}", table.terminal());
        }
        let shown = |path: &Path| format!("  {}\n", relative(path).display());
        if !self.figures.is_empty() {
            out += "\nfigures\n";
            for picture in &self.figures {
                out += &format!("  {}\n", picture.told(&relative(&picture.path)));
                out.extend(picture.warnings.iter().map(|warning| format!("    {warning}\n")));
            }
        }
        if !self.tables.is_empty() {
            out += "\ntables\n";
            let line = |(_, table, path): &(String, Table, PathBuf)| match table.is_empty() {
                true => format!(
                    "  {} is not written: it has no numbers yet\n",
                    relative(path).display()
                ),
                false => shown(path),
            };
            out.extend(self.tables.iter().map(line));
        }
        out
    }
}

impl Picture {
    /// Where it is, or that it is not.
    pub fn told(&self, path: &Path) -> String {
        match self.is_drawn {
            true => path.display().to_string(),
            false => format!("{} is not drawn: there is nothing to show yet", path.display()),
        }
    }
}

/// A path as seen from the working directory, where that is shorter.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

/// Draws all tables and figures, and renews the links of readable names.
///
/// # Errors
/// If something cannot be read, drawn or written.
pub fn all(
    spec: &Spec,
    graph: &Graph,
    results: &Results,
    record: &Record,
) -> Result<Drawn, Problems> {
    let tables = tables(spec, graph, results, record, None)?;
    let figures = figures(spec, graph, results, record, None)?;
    link(spec, graph, results)?;
    Ok(Drawn { tables, figures })
}

/// Writes the tables, or only one: name, table, path of the LaTeX file.
///
/// # Errors
/// If there is no such table, or something cannot be read or written.
pub fn tables(
    spec: &Spec,
    graph: &Graph,
    results: &Results,
    record: &Record,
    only: Option<&str>,
) -> Result<Vec<(String, Table, PathBuf)>> {
    let folder = results.experiment(&spec.name).join("tables");
    let mut out = vec![];
    for (name, asked) in chosen(&spec.tables, only, "table")? {
        let table = collect::table(spec, graph, record, asked)?;
        let path = folder.join(format!("{name}.tex"));
        // Without a single number, what an earlier run wrote is worth more.
        if table.is_empty() {
            out.push((name.clone(), table, path));
            continue;
        }
        make(&folder)?;
        for (ending, text) in
            [("tex", table.latex()), ("md", table.markdown()), ("csv", table.csv())]
        {
            write_aside(&path.with_extension(ending), text.as_bytes())?;
        }
        out.push((name.clone(), table, path));
    }
    Ok(out)
}

/// Draws the figures, or only one: with their PDF files.
///
/// # Errors
/// If there is no such figure, or something cannot be read, drawn or written.
pub fn figures(
    spec: &Spec,
    graph: &Graph,
    results: &Results,
    record: &Record,
    only: Option<&str>,
) -> Result<Vec<Picture>> {
    let folder = results.experiment(&spec.name).join("figures");
    let mut out = vec![];
    for (name, asked) in chosen(&spec.figures, only, "figure")? {
        let path = folder.join(format!("{name}.pdf"));
        let Some(drawing) = pictures::draw(spec, graph, results, record, name, asked)? else {
            out.push(Picture { path, is_drawn: false, warnings: vec![] });
            continue;
        };
        make(&folder)?;
        write_aside(&path.with_extension("svg"), drawing.svg.as_bytes())?;
        write_aside(&path.with_extension("png"), &drawing.png)?;
        write_aside(&path.with_extension("csv"), drawing.csv.as_bytes())?;
        write_aside(&path, &drawing.pdf)?;
        out.push(Picture { path, is_drawn: true, warnings: drawing.warnings });
    }
    Ok(out)
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
        .map(|node| (link_name(node), node.folder()))
        .filter(|(_, folder)| finished.contains(folder))
        .collect();
    // What was linked so last time is not looked at link by link.
    let stamp = folder.join(".links");
    let digest = blake3::hash(format!("{links:?}").as_bytes()).to_hex().to_string();
    if fs::read_to_string(&stamp).is_ok_and(|known| known == digest) {
        return Ok(());
    }
    let old = fs::read_dir(&folder).map_err(|e| Problem::os("list", &folder, &e))?.flatten();
    for link in old.filter(|entry| !links.contains_key(&*entry.file_name().to_string_lossy())) {
        // What is no link of ours stays.
        if link.file_type().is_ok_and(|kind| kind.is_symlink()) {
            let _ = fs::remove_file(link.path());
        }
    }
    for (name, node) in links {
        let path = folder.join(name);
        let target = Path::new("../../nodes").join(node);
        if fs::read_link(&path).is_ok_and(|known| known == target) {
            continue;
        }
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(&target, &path).map_err(|e| Problem::os("link", &path, &e))?;
    }
    write_aside(&stamp, digest.as_bytes())
}

/// A readable name as the name of a file; a long one ends in the key, so that no two are alike.
fn link_name(node: &Node) -> String {
    const MOST: usize = 200;
    let name = node.name.replace('/', "_");
    match name.len() > MOST {
        true => {
            let kept: String = name.chars().take(MOST / 4).collect();
            format!("{kept}…-{}", node.key.short())
        }
        false => name,
    }
}
