//! Files on disk: written so that a reader sees all of them or nothing, read with the act and the path
//! in every error. Knows nothing of what they hold.

use crate::moment;
use crate::problem::{Problem, Result};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file aside, syncs it, and renames it into place.
///
/// # Errors
/// If the file cannot be written.
pub fn write_aside(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content, true)
}

/// A readable name as the name of a file; a long one ends in the key, so that no two are alike.
pub fn named(name: &str, key: &str) -> String {
    const MOST: usize = 200;
    let name = name.replace('/', "_");
    if name.len() <= MOST {
        return name;
    }
    let kept: String = name.chars().take(MOST / 4).collect();
    format!("{kept}…-{key}")
}

/// How the name of a link begins that is about to be moved into place.
pub const LINKING: &str = ".link-";

/// Makes a link to a target, in place of another link or file: whoever looks, or makes the same link at the same time,
/// finds the old one or the new one.
///
/// # Errors
/// If the folder cannot be written, or a folder is in the way.
pub fn link(target: &Path, path: &Path) -> Result<()> {
    if fs::read_link(path).is_ok_and(|known| known == target) {
        return Ok(());
    }
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let own = COUNT.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_file_name(format!("{LINKING}{}-{own}", std::process::id()));
    let linked = symlink(target, &aside).and_then(|()| fs::rename(&aside, path));
    linked.map_err(|e| {
        let _ = fs::remove_file(&aside);
        Problem::os("link", path, &e)
    })
}

/// The last bytes of a file that may grow for days, as text; nothing if it cannot be read.
pub fn tail(path: &Path, bytes: u64) -> String {
    File::open(path).map(|file| tail_of(file, bytes)).unwrap_or_default()
}

/// The same of an open file.
pub fn tail_of(mut file: File, bytes: u64) -> String {
    let mut read = || -> std::io::Result<Vec<u8>> {
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(end.saturating_sub(bytes)))?;
        let mut found = vec![];
        Read::by_ref(&mut file).take(bytes).read_to_end(&mut found)?;
        Ok(found)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// Writes a file aside and renames it into place, without waiting for the disk: for what is soon written again, or is
/// synced with all else before anything depends on it.
///
/// # Errors
/// If the file cannot be written.
pub fn write_quickly(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content, false)
}

/// Writes an artefact of a node aside and renames it into place. Where a file system can be synced as a whole, that is
/// done once for many nodes before they are published; elsewhere the file is synced now.
///
/// # Errors
/// If the file cannot be written.
pub fn write_artefact(path: &Path, content: &[u8]) -> Result<()> {
    write(path, content, cfg!(not(target_os = "linux")))
}

fn write(path: &Path, content: &[u8], sync: bool) -> Result<()> {
    // Two programs may write the same file: the last one wins, and both write a whole one.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{name}.{}.aside", std::process::id()));
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(content)?;
        if sync {
            file.sync_all()?;
        }
        moment::pass("before", &name);
        fs::rename(&aside, path)?;
        moment::pass("after", &name);
        Ok(())
    };
    write().map_err(|e: std::io::Error| {
        // What cannot be finished only takes room; on a full disk that is what is missing.
        let _ = fs::remove_file(&aside);
        Problem::os("write", path, &e)
    })
}

/// A JSON file, if it is there.
///
/// # Errors
/// If it cannot be read, or holds something else.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| Problem::system(format!("{} cannot be understood: {e}", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Problem::os("read", path, &e)),
    }
}

/// Whether a path lies on a file system of another machine, where shared memory is not shared and a second writer may
/// not be seen. `ABLATE_NETWORK=1` says so of all, `0` of none.
pub fn is_network(path: &Path) -> bool {
    match std::env::var("ABLATE_NETWORK").as_deref() {
        Ok("1") => return true,
        Ok("0") => return false,
        _ => {}
    }
    #[cfg(target_os = "linux")]
    {
        // NFS, SMB (three names), Lustre, GPFS, BeeGFS, Ceph, AFS, 9P, and whatever a program serves.
        const NETWORK: [u32; 11] = [
            0x6969,
            0x517B,
            0xFF53_4D42,
            0xFE53_4D42,
            0x0BD0_0BD0,
            0x4750_4653,
            0x1983_0326,
            0x00C3_6400,
            0x5346_414F,
            0x0102_1997,
            0x6573_5546,
        ];
        rustix::fs::statfs(path).is_ok_and(|system| NETWORK.contains(&(system.f_type as u32)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// The BLAKE3 digest of a file, in hex, and its size in bytes.
///
/// # Errors
/// If the file cannot be read.
pub fn digest(path: &Path) -> Result<(String, u64)> {
    let fail = |e: std::io::Error| Problem::os("read", path, &e);
    let mut hasher = blake3::Hasher::new();
    let bytes = fs::metadata(path).map_err(fail)?.len();
    // A large file is hashed on all cores; for a small one that costs more than it saves.
    if bytes > 1 << 22 {
        hasher.update_mmap_rayon(path).map_err(fail)?;
    } else {
        hasher.update(&fs::read(path).map_err(fail)?);
    }
    Ok((hasher.finalize().to_hex().to_string(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_by_many_at_once_and_always_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        link(Path::new("a"), &path).unwrap();
        std::thread::scope(|scope| {
            for target in ["a", "b", "a", "b"] {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..200 {
                        link(Path::new(target), path).unwrap();
                        assert!(fs::read_link(path).is_ok());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::create_dir(folder.path().join("two")).unwrap();
        assert!(link(Path::new("a"), &folder.path().join("two")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_aside(&path, b"[1]").unwrap();
        write_aside(&path, b"[2]").unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), Some(vec![2]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_aside(&folder.path().join("no/a.json"), b"").is_err());
    }

    #[test]
    fn the_digest_of_a_large_file_is_that_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for n in [0, 10, 5 << 20] {
            let bytes: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let want = (blake3::hash(&bytes).to_hex().to_string(), n as u64);
            assert_eq!(digest(&path).unwrap(), want);
        }
    }
}
