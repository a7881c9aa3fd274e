//! Events → rows → numbers: the only SQL. The database is an index of the folders in `nodes/` and a
//! history of attempts; docs/results.md describes its tables and views.

mod claims;
mod export;
mod whole;

pub use claims::{Claim, Holder};
pub use export::{Rows, Sheet};
pub use whole::says_damaged;

use crate::graph::Graph;
use crate::job::{Better, Metric, Metrics, Series, SeriesFile};
use crate::key::{Key, canonical};
use crate::problem::{Problem, Result};
use crate::settings::Kind;
use crate::spec::Spec;
use crate::store::NodeFile;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the schema, kept in `user_version`.
const SCHEMA: i64 = 2;

/// What brings a database of each older version one version further.
const MIGRATIONS: [(i64, &str); 1] = [(
    1,
    "CREATE TABLE claims (name TEXT PRIMARY KEY, coordinator TEXT NOT NULL, slot TEXT NOT NULL) STRICT;
     CREATE TABLE damage (folder TEXT NOT NULL, path TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY (folder, path)) STRICT;",
)];

/// The open database.
#[derive(Debug)]
pub struct Record {
    connection: Connection,
    path: PathBuf,
    /// The file that was opened, whatever its name leads to later.
    file: Option<(u64, u64)>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Key of the node, in hex.
    pub node: String,
    /// Kind of the node.
    pub kind: Kind,
    /// 1 for the first.
    pub attempt: u32,
    /// The host's name.
    pub host: String,
    /// The device.
    pub device: String,
    /// When it started, RFC 3339 in UTC.
    pub started: String,
    /// Seconds it took.
    pub seconds: f64,
    /// Steps (or samples) it did.
    pub steps: u64,
    /// `done`, `stopped` or `failed`.
    pub outcome: String,
    /// Class of the failure.
    pub class: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
}

/// Everything about one finished node that becomes rows.
#[derive(Debug)]
pub struct Finished<'f> {
    /// Its folder's name.
    pub folder: &'f str,
    /// Its `node.json`.
    pub file: &'f NodeFile,
    /// Its `metrics.json`.
    pub metrics: Metrics,
    /// Its `series.json`.
    pub series: SeriesFile,
}

fn sql(error: rusqlite::Error) -> Problem {
    Problem::system(format!("the database refused: {error}"))
}

impl Record {
    /// Opens the database for writing, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened, is damaged, or was made by a newer version.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path).map_err(|e| unreadable(path, &e))?;
        // Taken at the beginning, so that no transaction is refused in its middle.
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        connection.busy_timeout(Duration::from_secs(30)).map_err(sql)?;
        let setup =
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;";
        connection.execute_batch(setup).map_err(|e| unreadable(path, &e))?;
        let mut record = Self { connection, path: path.to_owned(), file: identity_of(path) };
        record.migrate(path)?;
        Ok(record)
    }

    /// Makes the tables, or brings those of an older version up to date.
    fn migrate(&mut self, path: &Path) -> Result<()> {
        let transaction = self.connection.transaction().map_err(sql)?;
        let version: i64 = transaction
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|e| unreadable(path, &e))?;
        if version > SCHEMA {
            return Err(newer(path, version));
        }
        let scripts: Vec<&str> = match version {
            0 => vec![include_str!("schema.sql")],
            old => MIGRATIONS.iter().filter(|(from, _)| *from >= old).map(|(_, s)| *s).collect(),
        };
        for script in scripts {
            transaction.execute_batch(script).map_err(sql)?;
        }
        if version < SCHEMA {
            transaction.pragma_update(None, "user_version", SCHEMA).map_err(sql)?;
        }
        transaction.commit().map_err(sql)
    }

    /// Opens the database for reading; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, or is damaged.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|e| unreadable(path, &e))?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(sql)?;
        let record = Self { connection, path: path.to_owned(), file: identity_of(path) };
        let version = record
            .version()
            .map_err(|p| p.help("delete it: `ablate run` rebuilds it from nodes/"))?;
        if version > SCHEMA {
            return Err(newer(path, version));
        }
        Ok((version > 0).then_some(record))
    }

    fn version(&self) -> Result<i64> {
        self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)
    }

    /// Makes sure that the file is still the one that was opened: claims in a removed one bind nobody.
    ///
    /// # Errors
    /// If it was removed or replaced.
    pub fn still_there(&self) -> Result<()> {
        if identity_of(&self.path) == self.file {
            return Ok(());
        }
        let sentence = format!("{} was removed while this run used it", self.path.display());
        Err(Problem::system(sentence).help("run again: it is rebuilt from nodes/"))
    }

    /// Replaces the points of an experiment by those of its graph.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn experiment(&mut self, spec: &Spec, graph: &Graph) -> Result<()> {
        self.write_experiment(spec, graph).map_err(sql)
    }

    fn write_experiment(&mut self, spec: &Spec, graph: &Graph) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let merged = canonical(&spec.merged.value);
        transaction.execute(
            "INSERT OR REPLACE INTO experiments VALUES (?1, ?2, ?3, ?4)",
            params![spec.name, spec.file.display().to_string(), spec.question, merged],
        )?;
        for table in ["points", "coordinates"] {
            transaction
                .execute(&format!("DELETE FROM {table} WHERE experiment = ?1"), [&spec.name])?;
        }
        {
            let mut point_row =
                transaction.prepare("INSERT INTO points VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            let mut axis_row = transaction
                .prepare("INSERT OR REPLACE INTO coordinates VALUES (?1, ?2, ?3, ?4)")?;
            for (i, point) in graph.points.iter().enumerate() {
                for (declared, node) in &graph.at[i] {
                    let key = graph.nodes[*node].key.hex();
                    let baseline = graph.baseline[i].contains(declared);
                    let seed = point.seed.map(|s| s as i64);
                    point_row.execute(params![
                        spec.name,
                        i as i64,
                        point.sweep,
                        seed,
                        declared,
                        key,
                        baseline
                    ])?;
                }
                for (axis, value) in &point.coordinates {
                    axis_row.execute(params![
                        spec.name,
                        i as i64,
                        axis,
                        crate::expand::show(value)
                    ])?;
                }
            }
        }
        transaction.commit()
    }

    /// Adds the rows of finished nodes, all or none.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn finished(&mut self, nodes: &[Finished<'_>]) -> Result<()> {
        let transaction = self.connection.transaction().map_err(sql)?;
        for node in nodes {
            insert_node(&transaction, node).map_err(sql)?;
        }
        transaction.commit().map_err(sql)
    }

    /// Forgets nodes whose folders are gone or damaged.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn forget(&mut self, keys: &[String]) -> Result<()> {
        let transaction = self.connection.transaction().map_err(sql)?;
        for key in keys {
            for (table, column) in [
                ("nodes", "key"),
                ("edges", "node"),
                ("metrics", "node"),
                ("series", "node"),
                ("artefacts", "node"),
            ] {
                transaction
                    .execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), [key])
                    .map_err(sql)?;
            }
        }
        transaction.commit().map_err(sql)
    }

    /// Adds an attempt.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn attempt(&self, a: &Attempt) -> Result<()> {
        self.connection
            .execute(
                "INSERT INTO attempts (node, kind, attempt, host, device, started, seconds, steps, outcome, class, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    a.node, a.kind.word(), a.attempt, a.host, a.device, a.started, a.seconds, a.steps as i64,
                    a.outcome, a.class, a.message
                ],
            )
            .map(|_| ())
            .map_err(sql)
    }

    /// The rows of one SELECT.
    fn select<T>(
        &self,
        statement: &str,
        parameters: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let read = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(statement)?.query_map(parameters, row)?.collect()
        };
        read().map_err(sql)
    }

    /// The attempts at a node, the first one first.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn attempts(&self, key: &Key) -> Result<Vec<Attempt>> {
        let statement = "SELECT node, attempt, host, device, started, seconds, steps, outcome, class, message, kind
             FROM attempts WHERE node = ?1 ORDER BY id";
        self.select(statement, [key.hex()], |row| {
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
            })
        })
    }

    /// The keys of all recorded nodes, in hex, with their folders.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn recorded(&self) -> Result<BTreeMap<String, String>> {
        let rows =
            self.select("SELECT key, folder FROM nodes", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// Whether a node has its rows.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn is_recorded(&self, key: &Key) -> Result<bool> {
        let rows = self.select("SELECT 1 FROM nodes WHERE key = ?1", [key.hex()], |_| Ok(()))?;
        Ok(!rows.is_empty())
    }

    /// The names and identities of the finished nodes of a kind.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn identities(&self, kind: Kind) -> Result<Vec<(String, serde_json::Value)>> {
        let statement = "SELECT name, identity FROM nodes WHERE kind = ?1 ORDER BY key";
        let rows = self
            .select(statement, [kind.word()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        Ok(rows
            .into_iter()
            .filter_map(|(name, text)| Some((name, serde_json::from_str(&text).ok()?)))
            .collect())
    }

    /// Seconds and steps of all successful work by kind.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn rates(&self) -> Result<BTreeMap<Kind, (f64, u64)>> {
        let statement = "SELECT kind, sum(seconds), sum(steps) FROM attempts
             WHERE outcome IN ('done', 'stopped') GROUP BY kind";
        let rows = self.select(statement, [], |row| {
            let steps = row.get::<_, Option<i64>>(2)?.unwrap_or(0) as u64;
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<f64>>(1)?.unwrap_or(0.0), steps))
        })?;
        Ok(rows
            .into_iter()
            .filter_map(|(kind, s, n)| Some((Kind::from_word(&kind)?, (s, n))))
            .collect())
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

    /// The finished nodes of an experiment as it last ran: key in hex and folder.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn nodes_of(&self, experiment: &str) -> Result<BTreeMap<String, String>> {
        let statement =
            "SELECT DISTINCT n.key, n.folder FROM points p JOIN nodes n ON n.key = p.node
             WHERE p.experiment = ?1";
        let rows = self.select(statement, [experiment], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// The experiments, with their files.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn experiments(&self) -> Result<Vec<(String, String)>> {
        self.select("SELECT name, file FROM experiments ORDER BY name", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Notes how long a plan was expected to take, and how long it took.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn estimate(
        &self,
        experiment: &str,
        made: &str,
        nodes: usize,
        seconds: Option<f64>,
        took: f64,
    ) -> Result<()> {
        let row = params![experiment, made, nodes as i64, seconds, took];
        self.connection
            .execute("INSERT INTO estimates VALUES (?1, ?2, ?3, ?4, ?5)", row)
            .map(|_| ())
            .map_err(sql)
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

/// Device and inode of a file.
fn identity_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn newer(path: &Path, version: i64) -> Problem {
    let sentence =
        format!("{} is of version {version}, this ablate knows {SCHEMA}", path.display());
    Problem::new(sentence).help("update ablate")
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> Problem {
    Problem::system(format!("cannot open the database {}: {error}", path.display()))
        .help("if it is damaged, delete it: `ablate run` rebuilds it from nodes/")
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

fn insert_node(on: &Connection, node: &Finished<'_>) -> rusqlite::Result<()> {
    let file = node.file;
    let bytes: u64 = file.artefacts.iter().map(|artefact| artefact.bytes).sum();
    let arithmetic = serde_json::to_string(&file.arithmetic).unwrap_or_default();
    on.execute(
        "INSERT OR REPLACE INTO nodes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            file.key,
            file.kind.word(),
            file.name,
            node.folder,
            canonical(&file.settings),
            canonical(&file.identity),
            arithmetic,
            bytes as i64
        ],
    )?;
    let mut edge = on.prepare_cached("INSERT OR REPLACE INTO edges VALUES (?1, ?2, ?3, ?4)")?;
    for (role, input) in &file.inputs {
        edge.execute(params![file.key, role, input.key, input.port])?;
    }
    let mut metric =
        on.prepare_cached("INSERT OR REPLACE INTO metrics VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (name, m) in &node.metrics {
        let better = match m.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "neither",
        };
        metric.execute(params![file.key, name, finite(m.value), m.unit, better])?;
    }
    let mut artefact =
        on.prepare_cached("INSERT OR REPLACE INTO artefacts VALUES (?1, ?2, ?3, ?4)")?;
    for a in &file.artefacts {
        artefact.execute(params![file.key, a.path, a.bytes as i64, a.blake3])?;
    }
    let mut row =
        on.prepare_cached("INSERT OR REPLACE INTO series VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (name, series) in &node.series {
        let x = series.columns.get("x").cloned().unwrap_or_default();
        for (column, values) in series.columns.iter().filter(|(column, _)| *column != "x") {
            for (i, y) in values.iter().enumerate() {
                let x = x.get(i).copied().and_then(finite);
                row.execute(params![
                    file.key,
                    name,
                    column,
                    i as i64,
                    x,
                    finite(*y),
                    series.x_unit,
                    series.y_unit
                ])?;
            }
        }
    }
    Ok(())
}

/// SQLite has no NaN; it is stored as NULL.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The recorded keys that have no folder any more.
pub fn without_folder(
    recorded: &BTreeMap<String, String>,
    folders: &BTreeSet<String>,
) -> Vec<String> {
    recorded
        .iter()
        .filter(|(_, folder)| !folders.contains(*folder))
        .map(|(key, _)| key.clone())
        .collect()
}
