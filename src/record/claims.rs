//! Claims: which coordinator works on which folder, and the damage that `verify` found. Claims are
//! taken in one transaction, all names of a node or none, so that every node runs once whatever
//! other coordinators do.

use super::{Record, sql};
use crate::moment;
use crate::problem::Result;
use crate::store::Damage;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// Who holds a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The coordinator.
    pub coordinator: String,
    /// The slot whose worker writes there; empty if there is no worker.
    pub slot: String,
}

/// What one node needs for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its folder, and that of its trajectory.
    pub names: Vec<String>,
    /// Who wants it.
    pub holder: Holder,
}

impl Record {
    /// Takes a claim, whole or not at all; whether it was taken. What a holder that is `gone` has is free.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn claim(&mut self, claim: &Claim, gone: &dyn Fn(&Holder) -> bool) -> Result<bool> {
        let me = &claim.holder;
        let transaction = self.connection.transaction().map_err(sql)?;
        for name in &claim.names {
            let held = transaction
                .prepare_cached("SELECT coordinator, slot FROM claims WHERE name = ?1")
                .and_then(|mut statement| statement.query_row([name], holder).optional())
                .map_err(sql)?;
            if held.is_some_and(|held| held.coordinator != me.coordinator && !gone(&held)) {
                return Ok(false);
            }
        }
        for name in &claim.names {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO claims (coordinator, slot, name) VALUES (?1, ?2, ?3)",
                )
                .and_then(|mut s| s.execute(params![me.coordinator, me.slot, name]))
                .map_err(sql)?;
        }
        moment::pass("within", "claim");
        transaction.commit().map_err(sql)?;
        moment::pass("after", "claim");
        Ok(true)
    }

    /// Gives claims of a coordinator back.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn release(&mut self, coordinator: &str, names: &[String]) -> Result<()> {
        let transaction = self.connection.transaction().map_err(sql)?;
        for name in names {
            transaction
                .prepare_cached("DELETE FROM claims WHERE name = ?1 AND coordinator = ?2")
                .and_then(|mut s| s.execute(params![name, coordinator]))
                .map_err(sql)?;
        }
        transaction.commit().map_err(sql)
    }

    /// Gives back all that a coordinator holds.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn release_all(&self, coordinator: &str) -> Result<()> {
        self.connection
            .execute("DELETE FROM claims WHERE coordinator = ?1", [coordinator])
            .map(|_| ())
            .map_err(sql)
    }

    /// All claims by name.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn claims(&self) -> Result<BTreeMap<String, Holder>> {
        let statement = "SELECT coordinator, slot, name FROM claims";
        let rows = self.select(statement, [], |row| Ok((row.get(2)?, holder(row)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// Replaces the list of known damage, by path within the results folder.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn note_damage(&mut self, found: &BTreeMap<String, Vec<Damage>>) -> Result<()> {
        let transaction = self.connection.transaction().map_err(sql)?;
        transaction.execute("DELETE FROM damage", []).map_err(sql)?;
        for (folder, damage) in found {
            for d in damage {
                transaction
                    .execute(
                        "INSERT OR REPLACE INTO damage VALUES (?1, ?2, ?3)",
                        params![folder, d.path, d.what],
                    )
                    .map_err(sql)?;
            }
        }
        transaction.commit().map_err(sql)
    }

    /// Forgets the damage in one folder.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn forget_damage(&self, folder: &str) -> Result<()> {
        let statement = "DELETE FROM damage WHERE folder = ?1";
        self.connection.execute(statement, [folder]).map(|_| ()).map_err(sql)
    }

    /// The folders in which `verify` found damage that no run has repaired yet.
    ///
    /// # Errors
    /// If the database refuses.
    pub fn noted_damage(&self) -> Result<Vec<String>> {
        self.select("SELECT DISTINCT folder FROM damage ORDER BY folder", [], |row| row.get(0))
    }
}

/// The holder in the first two columns of a row.
fn holder(row: &rusqlite::Row<'_>) -> rusqlite::Result<Holder> {
    Ok(Holder { coordinator: row.get(0)?, slot: row.get(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(names: &[&str], coordinator: &str) -> Claim {
        let holder = Holder { coordinator: coordinator.into(), slot: "core-0".into() };
        Claim { names: names.iter().map(|n| (*n).to_owned()).collect(), holder }
    }

    fn record() -> (tempfile::TempDir, Record) {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::open(&folder.path().join("ablate.sqlite")).unwrap();
        (folder, record)
    }

    #[test]
    fn a_claim_is_taken_whole_or_not_at_all() {
        let (_keep, mut record) = record();
        let never = |_: &Holder| false;
        let a = claim(&["train-1", "trajectory-1"], "a");
        assert!(record.claim(&a, &never).unwrap());
        assert!(record.claim(&a, &never).unwrap(), "it has it already");
        let b = claim(&["train-2", "trajectory-1"], "b");
        assert!(!record.claim(&b, &never).unwrap());
        assert!(!record.claims().unwrap().contains_key("train-2"));
        record.release("b", &["trajectory-1".into()]).unwrap();
        assert!(!record.claim(&b, &never).unwrap(), "it was not b's to give back");
        record.release("a", &["trajectory-1".into()]).unwrap();
        assert!(record.claim(&b, &never).unwrap());
    }

    #[test]
    fn the_claim_of_one_who_is_gone_is_free() {
        let (_keep, mut record) = record();
        record.claim(&claim(&["sample-1"], "a"), &|_| false).unwrap();
        let b = claim(&["sample-1"], "b");
        assert!(record.claim(&b, &|holder| holder.coordinator == "a").unwrap());
        assert_eq!(record.claims().unwrap()["sample-1"].coordinator, "b");
    }
}
