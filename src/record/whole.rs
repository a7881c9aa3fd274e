//! Is the database what the folders say, and can it be made again? Comparison with the rows that the
//! folders would give, and the history that a damaged file still lets out.

use super::{Finished, Record, insert_node, sql};
use crate::problem::{Problem, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The tables that the folders give.
const FROM_FOLDERS: [(&str, &str); 6] = [
    ("nodes", "key"),
    ("edges", "node"),
    ("metrics", "node"),
    ("series", "node"),
    ("artefacts", "node"),
    ("adoptions", "node"),
];

/// The tables that only the database has.
const HISTORY: [&str; 5] = ["experiments", "points", "coordinates", "attempts", "estimates"];

/// What the sentences of SQLite about a damaged file contain.
const DAMAGED: [&str; 3] = ["malformed", "not a database", "disk I/O error"];

/// Whether a problem says that the database file is damaged.
pub fn says_damaged(problem: &Problem) -> bool {
    DAMAGED.iter().any(|word| problem.sentence.contains(word))
        && problem.sentence.contains("database")
}

impl Record {
    /// What SQLite itself finds wrong with the file, if anything.
    ///
    /// # Errors
    /// If it cannot even look.
    pub fn inner_damage(&self) -> Result<Option<String>> {
        let found = self.select("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
        Ok(found.into_iter().find(|line| line != "ok"))
    }

    /// The first table whose rows about these nodes are not those of their folders.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn differs_from(&self, nodes: &[Finished<'_>]) -> Result<Option<&'static str>> {
        self.fill_temporary(nodes).map_err(sql)?;
        for (table, key) in FROM_FOLDERS {
            let keys = "SELECT key FROM temp.nodes";
            let (ours, theirs) = (
                format!("SELECT * FROM temp.{table}"),
                format!("SELECT * FROM main.{table} WHERE {key} IN ({keys})"),
            );
            for (a, b) in [(&ours, &theirs), (&theirs, &ours)] {
                let statement = format!("SELECT 1 FROM ({a} EXCEPT {b}) LIMIT 1");
                if !self.select(&statement, [], |_| Ok(()))?.is_empty() {
                    return Ok(Some(table));
                }
            }
        }
        Ok(None)
    }

    /// Fills tables of this connection alone with the rows of nodes; they hide the real ones by name.
    fn fill_temporary(&self, nodes: &[Finished<'_>]) -> rusqlite::Result<()> {
        for (table, _) in FROM_FOLDERS {
            self.connection.execute_batch(&format!(
                "DROP TABLE IF EXISTS temp.{table};
                 CREATE TEMP TABLE {table} AS SELECT * FROM main.{table} WHERE 0;"
            ))?;
        }
        nodes.iter().try_for_each(|node| insert_node(&self.connection, node))
    }

    /// Takes over the history that another database file lets out; how many rows that were.
    ///
    /// # Errors
    /// If this database refuses; what cannot be read of the other is left behind.
    pub fn take_history(&mut self, from: &Path) -> Result<usize> {
        let Ok(old) = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
            return Ok(0);
        };
        let transaction = self.connection.transaction().map_err(sql)?;
        let mut taken = 0;
        for table in HISTORY {
            taken += copy_rows(&old, &transaction, table).map_err(sql)?;
        }
        transaction.commit().map_err(sql)?;
        Ok(taken)
    }
}

/// Copies the rows of a table, as far as they can be read.
fn copy_rows(from: &Connection, to: &Connection, table: &str) -> rusqlite::Result<usize> {
    // An older database lacks columns that have defaults.
    let Ok(mut read) = from.prepare(&format!("SELECT * FROM {table}")) else { return Ok(0) };
    let names: Vec<String> = read.column_names().map(str::to_owned).collect();
    let (columns, marks) = (names.len(), vec!["?"; names.len()].join(", "));
    let insert = format!("INSERT OR REPLACE INTO {table} ({}) VALUES ({marks})", names.join(", "));
    let Ok(mut write) = to.prepare(&insert) else { return Ok(0) };
    let Ok(mut rows) = read.query([]) else { return Ok(0) };
    let mut taken = 0;
    while let Ok(Some(row)) = rows.next() {
        let values: rusqlite::Result<Vec<rusqlite::types::Value>> =
            (0..columns).map(|i| row.get(i)).collect();
        let Ok(values) = values else { break };
        // A row that no longer has its types is damaged, too.
        taken += usize::from(write.execute(rusqlite::params_from_iter(values)).is_ok());
    }
    Ok(taken)
}
