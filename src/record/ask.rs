//! Rows → numbers: every question that other modules ask of the database.

use super::{Attempt, Record};
use crate::expand::Choice;
use crate::graph::Asked;
use crate::job::{Better, Metric, Metrics, Series};
use crate::key::Key;
use crate::problem::{Problem, Result};
use crate::settings::Kind;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

/// An experiment as it last ran.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub file: PathBuf,
    /// What of the spec was asked for: the profile, and all seeds that ever were.
    pub asked: Asked,
    /// A digest of its points.
    pub digest: String,
}

/// What a successful attempt cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The kind of node.
    pub kind: Kind,
    /// The device: `cpu`, or the model of a GPU.
    pub device: String,
    /// Units of work that it did.
    pub units: u64,
    /// Load of a unit.
    pub weight: f64,
    /// Seconds it took.
    pub seconds: f64,
    /// Bytes of the finished node; 0 if it was not finished.
    pub bytes: u64,
    /// Size that was expected of it.
    pub size: f64,
}

/// What equal nodes took of a GPU's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceMemory {
    /// The kind of node.
    pub kind: Kind,
    /// Load of a unit.
    pub weight: f64,
    /// Bytes at most, where that was seen.
    pub bytes: Option<u64>,
    /// Whether one of them had too little.
    pub was_short: bool,
}

impl Record {
    /// The attempts at a node, the first one first.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn attempts(&self, key: &Key) -> Result<Vec<Attempt>> {
        let statement = "SELECT node, attempt, host, device, started, seconds, steps, outcome, class, message, kind
             FROM attempts WHERE node = ?1 ORDER BY id";
        self.select(statement, [key.hex()], attempt)
    }

    /// The keys of all recorded nodes, in hex. Read from its index, as [`Record::folders`] is.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn keys(&self) -> Result<HashSet<String>> {
        Ok(self.select("SELECT key FROM nodes", [], |row| row.get(0))?.into_iter().collect())
    }

    /// How many nodes are recorded.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn count(&self) -> Result<usize> {
        let rows = self.select("SELECT count(*) FROM nodes", [], |row| row.get::<_, i64>(0))?;
        Ok(rows.first().map_or(0, |count| *count as usize))
    }

    /// The folders of all recorded nodes.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn folders(&self) -> Result<HashSet<String>> {
        Ok(self.select("SELECT folder FROM nodes", [], |row| row.get(0))?.into_iter().collect())
    }

    /// The keys of recorded nodes with these folders, in hex.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn keys_of(&self, folders: &BTreeSet<String>) -> Result<Vec<String>> {
        let mut keys = vec![];
        for folder in folders {
            keys.extend(self.select(
                "SELECT key FROM nodes WHERE folder = ?1",
                [folder],
                |row| row.get(0),
            )?);
        }
        Ok(keys)
    }

    /// Whether a node has its rows.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn is_recorded(&self, key: &Key) -> Result<bool> {
        let rows = self.select("SELECT 1 FROM nodes WHERE key = ?1", [key.hex()], |_| Ok(()))?;
        Ok(!rows.is_empty())
    }

    /// The names and identities of finished nodes of a kind, at most a thousand: those of the same
    /// declaration first, the newest first.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn identities(
        &self,
        kind: Kind,
        declared: &str,
    ) -> Result<Vec<(String, serde_json::Value)>> {
        let statement = "SELECT name, identity FROM nodes WHERE kind = ?1
             ORDER BY name = ?2 OR substr(name, 1, length(?2) + 1) = ?2 || '[' DESC, rowid DESC LIMIT 1000";
        let rows = self.select(statement, params![kind.word(), declared], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        })?;
        Ok(rows
            .into_iter()
            .filter_map(|(name, text)| Some((name, serde_json::from_str(&text).ok()?)))
            .collect())
    }

    /// What the newest successful attempts cost; of before this version nothing.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn history(&self) -> Result<Vec<Past>> {
        const NEWEST: i64 = 2000;
        if self.version()? < 3 {
            return Ok(vec![]);
        }
        let statement = "SELECT kind, device, steps, weight, seconds, bytes, size FROM attempts
             WHERE outcome IN ('done', 'stopped') AND weight IS NOT NULL ORDER BY id DESC LIMIT ?1";
        let rows = self.select(statement, [NEWEST], |row| {
            let kind: String = row.get(0)?;
            Ok(Kind::from_word(&kind).map(|kind| Past {
                kind,
                device: row.get(1).unwrap_or_default(),
                units: row.get::<_, Option<i64>>(2).ok().flatten().unwrap_or(0) as u64,
                weight: row.get(3).unwrap_or(0.0),
                seconds: row.get(4).unwrap_or(0.0),
                bytes: row.get::<_, Option<i64>>(5).ok().flatten().unwrap_or(0) as u64,
                size: row.get::<_, Option<f64>>(6).ok().flatten().unwrap_or(0.0),
            }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// What attempts took of GPU memory at most, by kind and load; and whether any was short of it.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn device_memory(&self) -> Result<Vec<DeviceMemory>> {
        if self.version()? < 4 {
            return Ok(vec![]);
        }
        let statement = "SELECT kind, weight, max(memory), max(coalesce(class = 'device_memory', 0)) FROM attempts
             WHERE weight > 0 AND (memory IS NOT NULL OR class = 'device_memory') GROUP BY kind, weight";
        let rows = self.select(statement, [], |row| {
            let kind: String = row.get(0)?;
            Ok(Kind::from_word(&kind).map(|kind| DeviceMemory {
                kind,
                weight: row.get(1).unwrap_or(0.0),
                bytes: row.get::<_, Option<i64>>(2).ok().flatten().map(|bytes| bytes as u64),
                was_short: row.get(3).unwrap_or(false),
            }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// By how much the newest estimates were wrong, as shares of what was estimated; the newest first.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn estimate_errors(&self) -> Result<Vec<f64>> {
        const NEWEST: i64 = 20;
        let statement = "SELECT abs(took - seconds) / max(seconds, 1e-3) FROM estimates
             WHERE seconds IS NOT NULL AND took IS NOT NULL ORDER BY rowid DESC LIMIT ?1";
        self.select(statement, [NEWEST], |row| row.get(0))
    }

    /// How many nodes have failed as an attempt did, itself included.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn failed_alike(&self, attempt: &Attempt) -> Result<usize> {
        let statement = "SELECT count(DISTINCT node) FROM attempts
             WHERE outcome = 'failed' AND class IS ?1 AND message IS ?2";
        let rows = self.select(statement, params![attempt.class, attempt.message], |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(rows.first().map_or(1, |count| *count as usize))
    }

    /// The nodes whose last attempt failed, by key in hex, with the class of the failure.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn failures(&self) -> Result<BTreeMap<String, String>> {
        let statement = "SELECT node, coalesce(class, '') FROM attempts a WHERE outcome = 'failed'
             AND id = (SELECT max(id) FROM attempts WHERE node = a.node)";
        let rows = self.select(statement, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// The metrics of a node.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn metrics(&self, key: &Key) -> Result<Metrics> {
        let statement = "SELECT name, value, unit, better FROM metrics WHERE node = ?1";
        let rows = self.select(statement, [key.hex()], |row| {
            let better = match row.get::<_, String>(3)?.as_str() {
                "lower" => Better::Lower,
                "higher" => Better::Higher,
                _ => Better::Neither,
            };
            let value = row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN);
            Ok((row.get::<_, String>(0)?, Metric { value, unit: row.get(2)?, better }))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// The metrics that nodes of an experiment have, by declared name.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn metric_names(&self, experiment: &str) -> Result<Vec<(String, String)>> {
        let statement =
            "SELECT DISTINCT p.declared, m.name FROM points p JOIN metrics m ON m.node = p.node
             WHERE p.experiment = ?1 ORDER BY 1, 2";
        self.select(statement, [experiment], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The finished nodes of an experiment, or of all, with their names.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn finished_nodes(&self, experiment: Option<&str>) -> Result<Vec<(Key, String)>> {
        let statement = "SELECT key, name FROM nodes
             WHERE ?1 IS NULL OR key IN (SELECT node FROM points WHERE experiment = ?1) ORDER BY key";
        let rows = self.select(statement, [experiment], |row| {
            Ok((Key::from_hex(&row.get::<_, String>(0)?), row.get(1)?))
        })?;
        Ok(rows.into_iter().filter_map(|(key, name)| Some((key?, name))).collect())
    }

    /// The series of a node, each with its columns.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn series_names(&self, key: &Key) -> Result<BTreeMap<String, Vec<String>>> {
        let statement =
            "SELECT DISTINCT name, column_name FROM series WHERE node = ?1 ORDER BY 1, 2";
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, column) in self.select(statement, [key.hex()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })? {
            names.entry(name).or_default().push(column);
        }
        Ok(names)
    }

    /// A number that changes whenever another program has written to the database.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn changes(&self) -> Result<i64> {
        let rows = self.select("PRAGMA data_version", [], |row| row.get(0))?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    /// The newest attempts at nodes of an experiment, the newest first.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn newest_attempts(&self, experiment: &str, most: usize) -> Result<Vec<Attempt>> {
        let statement = "SELECT node, attempt, host, device, started, seconds, steps, outcome, class, message, kind
             FROM attempts WHERE node IN (SELECT node FROM points WHERE experiment = ?1)
             ORDER BY id DESC LIMIT ?2";
        self.select(statement, params![experiment, most as i64], attempt)
    }

    /// One series of a node, if it has it.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn series(&self, key: &Key, name: &str) -> Result<Option<Series>> {
        let statement = "SELECT column_name, x, y, x_unit, y_unit FROM series
             WHERE node = ?1 AND name = ?2 ORDER BY column_name, i";
        let rows = self.select(statement, params![key.hex(), name], |row| {
            let number = |i: usize| row.get::<_, Option<f64>>(i).map(|v| v.unwrap_or(f64::NAN));
            let units: (String, String) = (row.get(3)?, row.get(4)?);
            Ok((row.get::<_, String>(0)?, number(1)?, number(2)?, units))
        })?;
        let Some((first, _, _, (x_unit, y_unit))) = rows.first().cloned() else { return Ok(None) };
        let x = rows.iter().filter(|(column, ..)| *column == first).map(|(_, x, ..)| *x).collect();
        let mut columns = BTreeMap::from([("x".to_owned(), x)]);
        for (column, _, y, _) in rows {
            columns.entry(column).or_insert_with(Vec::new).push(y);
        }
        Ok(Some(Series { x_unit, y_unit, columns }))
    }

    /// Seconds that each node took over all its attempts, by key in hex.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn seconds_by_node(&self) -> Result<BTreeMap<String, f64>> {
        let rows = self.select("SELECT node, seconds FROM costs", [], |row| {
            Ok((row.get(0)?, row.get::<_, Option<f64>>(1)?.unwrap_or(0.0)))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// The nodes of an experiment as it last ran, by key in hex.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn nodes_of(&self, experiment: &str) -> Result<Vec<String>> {
        let statement = "SELECT DISTINCT node FROM points WHERE experiment = ?1";
        self.select(statement, [experiment], |row| row.get(0))
    }

    /// The nodes of an experiment that are not finished and whose last attempt failed: declared name and class.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn failed_nodes(&self, experiment: &str) -> Result<Vec<(String, String)>> {
        let statement = "SELECT DISTINCT p.declared, coalesce(a.class, '') FROM points p
             JOIN attempts a ON a.id = (SELECT max(id) FROM attempts WHERE node = p.node)
             WHERE p.experiment = ?1 AND a.outcome = 'failed'
             AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.key = p.node) ORDER BY 1";
        self.select(statement, [experiment], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The names of the experiments that have a node of this name, as they last ran: a declared or
    /// readable name, or the beginning of a key.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn experiments_with(&self, name: &str) -> Result<Vec<String>> {
        let declared = name.split('[').next().unwrap_or_default();
        let key = name.rsplit('-').next().unwrap_or_default();
        let is_key = key.len() >= 4 && key.bytes().all(|b| b.is_ascii_hexdigit());
        let (first, last) =
            if is_key { (key.to_owned(), format!("{key}g")) } else { Default::default() };
        let statement = "SELECT DISTINCT experiment FROM points WHERE declared = ?1
             OR substr(declared, 1, length(?1) + 1) = ?1 || '.' OR (node >= ?2 AND node < ?3)";
        self.select(statement, params![declared, first, last], |row| row.get(0))
    }

    /// The experiments that ran here.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn experiments(&self) -> Result<Vec<Experiment>> {
        // A database of before this version is still read.
        let newer = if self.version()? < 3 { "'', '{}', ''" } else { "profile, seeds, digest" };
        let statement = format!("SELECT name, file, {newer} FROM experiments ORDER BY name");
        self.select(&statement, [], |row| {
            let profile: String = row.get(2)?;
            let seeds: serde_json::Value =
                serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default();
            let choice = Choice {
                more_seeds: serde_json::from_value(seeds["all"].clone()).unwrap_or_default(),
                extras: serde_json::from_value(seeds["some"].clone()).unwrap_or_default(),
                ..Choice::default()
            };
            Ok(Experiment {
                name: row.get(0)?,
                file: PathBuf::from(row.get::<_, String>(1)?),
                asked: Asked {
                    nodes: self.path.parent().map(|root| root.join("nodes")),
                    profile: Some(profile).filter(|p| !p.is_empty()),
                    revision: None,
                    choice,
                },
                digest: row.get(4)?,
            })
        })
    }

    /// Runs one SELECT; names of the columns, then the rows as text.
    ///
    /// # Errors
    /// If the statement is wrong, or would write.
    pub fn query(&self, statement: &str) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let wrong = |e: rusqlite::Error| {
            let help = "the tables and views are in docs/results.md; try `select * from results`";
            Problem::new(format!("the query is wrong: {e}")).help(help)
        };
        let mut prepared = self.connection.prepare(statement).map_err(wrong)?;
        if !prepared.readonly() {
            return Err(Problem::new("`ablate query` only reads").help("use a SELECT"));
        }
        let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
        let mut rows = prepared.query([]).map_err(wrong)?;
        let mut out = vec![];
        while let Some(row) = rows.next().map_err(wrong)? {
            out.push(
                (0..names.len()).map(|i| row.get_ref(i).map(shown).unwrap_or_default()).collect(),
            );
        }
        Ok((names, out))
    }
}

fn shown(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(i) => i.to_string(),
        ValueRef::Real(f) => f.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(blob) => format!("<{} bytes>", blob.len()),
    }
}

fn attempt(row: &rusqlite::Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        node: row.get(0)?,
        attempt: row.get(1)?,
        host: row.get(2)?,
        device: row.get(3)?,
        started: row.get(4)?,
        seconds: row.get::<_, Option<f64>>(5)?.unwrap_or(0.0),
        steps: row.get::<_, Option<i64>>(6)?.unwrap_or(0) as u64,
        outcome: row.get(7)?,
        class: row.get(8)?,
        message: row.get(9)?,
        kind: Kind::from_word(&row.get::<_, String>(10)?).unwrap_or(Kind::Evaluate),
        weight: 0.0,
        bytes: 0,
        size: 0.0,
        memory: None,
    })
}
