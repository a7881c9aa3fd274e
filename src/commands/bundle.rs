//! `ablate bundle`: what a paper's supplement needs in one archive, described as an RO-Crate 1.1.

use super::asking::Asking;

use super::{Done, Opened, Place, print};
use crate::draw::{Output, Studio};
use crate::export::{Format, export_into};
use crate::files::write_aside;
use crate::problem::{Problem, Problems, Result};
use crate::report;
use crate::words::{self, plural};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

/// Arguments of `ablate bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate bundle experiments/first.yaml -o supplement.zip --license CC-BY-4.0")]
pub(super) struct Bundle {
    /// The spec, a YAML file.
    spec: PathBuf,
    #[command(flatten)]
    asking: Asking,
    /// The archive [default: bundle.zip in the experiment's folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The licence under which the results are given away, by its SPDX name or address.
    #[arg(long)]
    license: Option<String>,
}

/// The files of a bundle, by path.
type Files = BTreeMap<String, Vec<u8>>;

/// Files of a finished node that are small and tell what it is.
const OF_NODES: [&str; 5] =
    ["node.json", "metrics.json", "series.json", "costs.json", "dataset.json"];

impl Bundle {
    pub(super) fn run(&self, place: &Place) -> Done {
        let (opened, record) = Opened::to_draw(&self.spec, &self.asking, place)?;
        let studio = opened.studio(&record);
        let outputs = studio.outputs()?;
        let mut files = self.collect(studio, &outputs)?;
        let about = self.describe(studio, &outputs, &files)?;
        let about = serde_json::to_string_pretty(&about).expect("plain data") + "\n";
        files.insert("ro-crate-metadata.json".to_owned(), about.into_bytes());
        let path = match &self.output {
            Some(path) => path.clone(),
            None => opened.results.experiment(&opened.spec.name).join("bundle.zip"),
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| Problem::os("make the folder", folder, &e))?;
        }
        let archive = archive(&files)?;
        write_aside(&path, &archive)?;
        let size = words::bytes(archive.len() as u64);
        print(&format!("{}: {}, {size}", path.display(), plural(files.len(), "file")));
        Ok(0)
    }

    fn collect(&self, studio: Studio<'_>, outputs: &[Output]) -> Result<Files, Problems> {
        let Studio { spec, graph, results, record } = studio;
        let mut files = Files::new();
        let read = |path: &Path| fs::read(path).map_err(|e| Problem::os("read", path, &e));
        let name = spec.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(format!("spec/{name}"), read(&spec.file)?);
        // With fragments, variables and the profile in their places; JSON is YAML, so that it can be run.
        let merged = serde_json::to_string_pretty(&spec.merged.value).expect("plain data") + "\n";
        files.insert("spec/merged.json".to_owned(), merged.into_bytes());
        for output in outputs {
            for (ending, bytes) in &output.files {
                files.insert(place_of(output, ending), bytes.clone());
            }
        }
        files.insert("report.html".to_owned(), report::page(studio, outputs)?.into_bytes());
        let aside = results.work(&format!("bundling-{}", std::process::id()));
        let exported =
            export_into(record, Some(&spec.name), &aside, Format::Csv).and_then(|written| {
                let file = |(path, _): (PathBuf, usize)| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    Ok((format!("data/{name}"), read(&path)?))
                };
                written.into_iter().map(file).collect::<Result<Files>>()
            });
        // What stays takes room and nothing else.
        let _ = fs::remove_dir_all(&aside);
        files.extend(exported?);
        let finished = results.list()?.finished;
        for node in graph.nodes.node_weights().filter(|node| finished.contains(&node.folder())) {
            for name in OF_NODES {
                let path = results.node(&node.folder()).join(name);
                if path.exists() {
                    files.insert(format!("nodes/{}/{name}", node.folder()), read(&path)?);
                }
            }
        }
        Ok(files)
    }

    /// The metadata file: every file, what made the outputs, and of which nodes.
    fn describe(&self, studio: Studio<'_>, outputs: &[Output], files: &Files) -> Result<Value> {
        let Studio { spec, graph, .. } = studio;
        let id = |id: &str| json!({ "@id": id });
        let mut about = vec![json!({
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": id("https://w3id.org/ro/crate/1.1"),
            "about": id("./"),
        })];
        let newest = newest(studio)?;
        let folders: BTreeSet<&str> = files
            .keys()
            .filter_map(|path| path.strip_prefix("nodes/")?.split('/').next())
            .collect();
        let nodes = folders.iter().map(|folder| format!("nodes/{folder}/"));
        let parts: Vec<Value> = files
            .keys()
            .filter(|path| !path.starts_with("nodes/"))
            .cloned()
            .chain(nodes)
            .map(|path| id(&path))
            .collect();
        let mut root = json!({
            "@id": "./",
            "@type": "Dataset",
            "name": spec.name,
            "description": spec.question,
            // When the newest of its results was begun.
            "datePublished": newest.get(..10).unwrap_or("1970-01-01"),
            "hasPart": parts,
        });
        if let Some(license) = &self.license {
            let address = match license.contains("://") {
                true => license.clone(),
                false => format!("https://spdx.org/licenses/{license}"),
            };
            root["license"] = id(&address);
            about.push(json!({ "@id": address, "@type": "CreativeWork", "name": license }));
        }
        about.push(root);
        about.push(json!({
            "@id": "#ablate",
            "@type": "SoftwareApplication",
            "name": "ablate",
            "softwareVersion": env!("CARGO_PKG_VERSION"),
        }));
        for (path, bytes) in files.iter().filter(|(path, _)| !path.starts_with("nodes/")) {
            about.push(json!({
                "@id": path,
                "@type": "File",
                "name": path.rsplit('/').next(),
                "encodingFormat": media_type(path),
                "contentSize": bytes.len().to_string(),
            }));
        }
        let named = graph.nodes.node_weights().map(|node| (node.folder(), node));
        for (folder, node) in named.filter(|(folder, _)| folders.contains(folder.as_str())) {
            about.push(json!({
                "@id": format!("nodes/{folder}/"),
                "@type": "Dataset",
                "name": node.name,
                "identifier": node.key.hex(),
                "additionalType": node.kind().word(),
            }));
        }
        for output in outputs.iter().filter(|output| !output.files.is_empty()) {
            about.push(action(studio, output, &folders));
        }
        Ok(json!({ "@context": "https://w3id.org/ro/crate/1.1/context", "@graph": about }))
    }
}

/// When the newest result was begun; empty if there is none.
fn newest(Studio { graph, record, .. }: Studio<'_>) -> Result<String> {
    let mut newest = String::new();
    for node in graph.nodes.node_weights() {
        let started = record.attempts(&node.key)?.into_iter().map(|attempt| attempt.started);
        newest = started.fold(newest, |newest, started| newest.max(started));
    }
    Ok(newest)
}

/// That an output was made by this program from its nodes.
fn action(studio: Studio<'_>, output: &Output, folders: &BTreeSet<&str>) -> Value {
    let id = |id: String| json!({ "@id": id });
    let nodes = studio.graph.nodes.node_weights();
    let read = nodes.filter(|node| output.basis.nodes.contains(&node.key)).map(|n| n.folder());
    let read: BTreeSet<String> = read.filter(|folder| folders.contains(folder.as_str())).collect();
    json!({
        "@id": format!("#{}-{}", output.kind.word(), output.name),
        "@type": "CreateAction",
        "name": format!("the {} {}", output.kind.word(), output.name),
        "instrument": id("#ablate".to_owned()),
        "object": read.into_iter().map(|folder| id(format!("nodes/{folder}/"))).collect::<Vec<_>>(),
        "result": output.files.iter().map(|(ending, _)| id(place_of(output, ending))).collect::<Vec<_>>(),
    })
}

/// Where a file of an output stands in the archive.
fn place_of(output: &Output, ending: &str) -> String {
    let folder = output.path.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/{}", folder.to_string_lossy(), output.file_name(ending))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("pdf") => "application/pdf",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("csv") => "text/csv",
        Some("html") => "text/html",
        Some("json") => "application/json",
        Some("yaml" | "yml") => "application/yaml",
        Some("tex") => "application/x-tex",
        Some("md") => "text/markdown",
        Some("py") => "text/x-python",
        _ => "application/octet-stream",
    }
}

/// The same bytes for the same files: entries in order, without times.
fn archive(files: &Files) -> Result<Vec<u8>> {
    let wrong = |e: &dyn std::fmt::Display| Problem::system(format!("the archive: {e}"));
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (path, bytes) in files {
        writer.start_file(path, options).map_err(|e| wrong(&e))?;
        writer.write_all(bytes).map_err(|e| wrong(&e))?;
    }
    Ok(writer.finish().map_err(|e| wrong(&e))?.into_inner())
}
