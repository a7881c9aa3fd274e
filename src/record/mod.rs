//! Events → rows → numbers: the only SQL. The database is an index of the folders in `nodes/` and a
//! history of attempts; docs/results.md describes its tables and views.

mod ask;
mod claims;
mod export;
mod whole;

pub use ask::{DeviceMemory, Experiment, Past};
pub use claims::{Claim, Holder};
pub use export::{Rows, Sheet};
pub use whole::says_damaged;

use crate::graph::{Asked, Graph};
use crate::job::{Better, Metrics, SeriesFile};
use crate::key::canonical;
use crate::moment;
use crate::problem::{Problem, Result};
use crate::settings::Kind;
use crate::spec::Spec;
use crate::store::NodeFile;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the schema, kept in `user_version`.
const SCHEMA: i64 = 4;

/// What brings a database of each older version one version further.
const MIGRATIONS: [(i64, &str); 3] = [
    (
    1,
    "CREATE TABLE claims (name TEXT PRIMARY KEY, coordinator TEXT NOT NULL, slot TEXT NOT NULL) STRICT;
     CREATE TABLE damage (folder TEXT NOT NULL, path TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY (folder, path)) STRICT;",
    ),
    (
        2,
        "ALTER TABLE attempts ADD COLUMN weight REAL;
         ALTER TABLE attempts ADD COLUMN bytes INTEGER;
         ALTER TABLE attempts ADD COLUMN size REAL;
         CREATE TABLE adoptions (node TEXT PRIMARY KEY, from_node TEXT NOT NULL, reason TEXT NOT NULL,
             made TEXT NOT NULL, differences TEXT NOT NULL) STRICT;
         ALTER TABLE estimates ADD COLUMN low REAL;
         ALTER TABLE estimates ADD COLUMN high REAL;
         ALTER TABLE estimates ADD COLUMN device TEXT;
         ALTER TABLE experiments ADD COLUMN profile TEXT NOT NULL DEFAULT '';
         ALTER TABLE experiments ADD COLUMN seeds TEXT NOT NULL DEFAULT '{}';
         ALTER TABLE experiments ADD COLUMN digest TEXT NOT NULL DEFAULT '';",
    ),
    (3, "ALTER TABLE attempts ADD COLUMN memory INTEGER;"),
];

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
    /// Load of a step, in a measure that only compares; 0 if unknown.
    pub weight: f64,
    /// Bytes of the finished node; 0 if it is not.
    pub bytes: u64,
    /// Size that was expected of it, in a measure that only compares.
    pub size: f64,
    /// Bytes of a GPU's memory that it took at most, where that was seen.
    pub memory: Option<u64>,
}

/// How long a run was expected to take, and how long it took.
#[derive(Debug, Clone)]
pub struct Estimated {
    /// The experiment.
    pub experiment: String,
    /// The devices.
    pub device: String,
    /// When it began, RFC 3339 in UTC.
    pub made: String,
    /// How many nodes it ran.
    pub nodes: usize,
    /// Lower end, middle and upper end of the estimate in seconds, if there was one.
    pub seconds: Option<[f64; 3]>,
    /// Seconds it took.
    pub took: f64,
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
        // A write-ahead log needs memory that all its users share, and machines share none.
        let journal = match crate::files::is_network(path) {
            true => "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;",
            false => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
        };
        let setup = format!("{journal} PRAGMA foreign_keys = ON;");
        patiently(|| connection.execute_batch(&setup)).map_err(|e| unreadable(path, &e))?;
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
        let version = record.version().map_err(|p| {
            p.help("`ablate rebuild` makes it anew from nodes/, and so does `ablate run`")
        })?;
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

    /// Replaces the points of an experiment by those of its graph, if they differ.
    ///
    /// # Errors
    /// If the database refuses, or another spec has that name.
    pub fn experiment(&mut self, spec: &Spec, asked: &Asked, graph: &Graph) -> Result<()> {
        let known = self.experiments()?.into_iter().find(|known| known.name == spec.name);
        if let Some(known) = &known
            && known.file.exists()
            && known.file.canonicalize().ok() != spec.file.canonicalize().ok()
        {
            let (name, file) = (&known.name, known.file.display());
            let what = format!("another spec called `{name}` has results here: {file}");
            return Err(
                Problem::new(what).help("rename one of them, or take another --results DIR")
            );
        }
        let digest = digest_of(spec, asked, graph);
        if known.is_some_and(|known| known.digest == digest) {
            return Ok(());
        }
        self.write_experiment(spec, asked, graph, &digest).map_err(sql)
    }

    fn write_experiment(
        &mut self,
        spec: &Spec,
        asked: &Asked,
        graph: &Graph,
        digest: &str,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let merged = canonical(&spec.merged.value);
        transaction.execute(
            "INSERT OR REPLACE INTO experiments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                spec.name,
                absolute(&spec.file),
                spec.question,
                merged,
                asked.profile.as_deref().unwrap_or_default(),
                serde_json::json!({ "all": asked.choice.all_seeds(&[]), "some": asked.choice.extras }).to_string(),
                digest
            ],
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
                for (declared, node, baseline) in graph.nodes_at(i) {
                    let key = graph.nodes[node].key.hex();
                    let seed = point.seed.map(|s| s as i64);
                    point_row.execute(params![
                        spec.name,
                        i as i64,
                        &*point.sweep,
                        seed,
                        declared,
                        key,
                        baseline
                    ])?;
                }
                for coordinate in &point.coordinates {
                    let value = crate::expand::show(&coordinate.value);
                    axis_row.execute(params![spec.name, i as i64, coordinate.axis, value])?;
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
            moment::pass("within", "rows");
        }
        transaction.commit().map_err(sql)?;
        moment::pass("after", "rows");
        Ok(())
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
                ("adoptions", "node"),
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
                "INSERT INTO attempts (node, kind, attempt, host, device, started, seconds, steps, outcome, class, message,
                                       weight, bytes, size, memory)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                params![
                    a.node, a.kind.word(), a.attempt, a.host, a.device, a.started, a.seconds, a.steps as i64,
                    a.outcome, a.class, a.message, a.weight, a.bytes as i64, a.size, a.memory.map(|m| m as i64)
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

    /// Notes how long a plan was expected to take, and how long it took.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn estimate(&self, estimate: &Estimated) -> Result<()> {
        let Estimated { experiment, device, made, nodes, seconds, took } = estimate;
        let [low, middle, high] = match seconds {
            Some(seconds) => seconds.map(Some),
            None => [None; 3],
        };
        let row = params![experiment, made, *nodes as i64, middle, took, low, high, device];
        self.connection
            .execute("INSERT INTO estimates VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", row)
            .map(|_| ())
            .map_err(sql)
    }
}

/// A spec's path so that it means the same wherever it is read.
fn absolute(file: &Path) -> String {
    file.canonicalize().unwrap_or_else(|_| file.to_owned()).display().to_string()
}

/// A digest of all that [`Record::experiment`] writes.
fn digest_of(spec: &Spec, asked: &Asked, graph: &Graph) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION"));
    add(&absolute(&spec.file));
    add(&canonical(&spec.merged.value));
    add(&format!("{:?} {:?}", asked.choice.all_seeds(&[]), asked.choice.extras));
    for (i, point) in graph.points.iter().enumerate() {
        add(&point.sweep);
        for (declared, node, baseline) in graph.nodes_at(i) {
            add(declared);
            add(graph.nodes[node].key.hex().as_str());
            add(if baseline { "baseline" } else { "" });
        }
        for coordinate in &point.coordinates {
            add(&coordinate.axis);
            add(&crate::expand::show(&coordinate.value));
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Does it again while another program holds the lock: turning a new database to write-ahead logging
/// does not wait by itself.
fn patiently(act: impl Fn() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    const TRIES: u32 = 600;
    for _ in 0..TRIES {
        match act() {
            Err(rusqlite::Error::SqliteFailure(e, _))
                if e.code == rusqlite::ErrorCode::DatabaseBusy =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
    act()
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
    Problem::system(format!("cannot open the database {}: {error}", path.display())).help(
        "if it is damaged, `ablate rebuild` makes it anew from nodes/, and so does `ablate run`",
    )
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
    if let Some(adopted) = &file.adopted {
        let differences = serde_json::to_string(&adopted.differences).unwrap_or_default();
        on.prepare_cached("INSERT OR REPLACE INTO adoptions VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![file.key, adopted.key, adopted.reason, adopted.made, differences])?;
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
