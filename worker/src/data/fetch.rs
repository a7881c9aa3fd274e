//! Fetches a published file: from one mirror after another, going on where a cut connection stopped,
//! and kept only if its SHA-256 sum is the published one. Does not know what files mean.

use super::idx::{Published, Set};
use ablate::problem::{Problem, Result};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The variable that names a mirror to use instead of the known ones.
pub const MIRROR: &str = "ABLATE_MIRROR";

/// Files of an unknown size are refused beyond this: 1 GiB.
const LARGEST: u64 = 1 << 30;

/// Requests to one mirror, as long as each brings the file further.
const TRIES: usize = 8;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(30);

/// Longest time that one request may take; a slow download goes on with the next.
const REQUEST: Duration = Duration::from_secs(1800);

/// The addresses of a set's file, best first: at the mirror that `ABLATE_MIRROR` names, as
/// `<mirror>/<MNIST or FashionMNIST>/<file>`, or else at the known ones.
pub fn urls(set: Set, file: &Published) -> Vec<String> {
    addresses(set, file, std::env::var(MIRROR).ok().as_deref())
}

fn addresses(set: Set, file: &Published, mirror: Option<&str>) -> Vec<String> {
    match mirror {
        Some(base) => {
            vec![format!("{}/{}/{}", base.trim_end_matches('/'), set.folder(), file.name)]
        }
        None => set.mirrors().iter().map(|base| format!("{base}{}", file.name)).collect(),
    }
}

/// Fetches the file at the first of `urls` that has it, unless `to` is there. What has come so far lies in
/// `<to>.part`; `sha256` is in small hexadecimal digits, `bytes` the size if it is known; `progress` is told
/// the bytes that are here, and how many there will be.
///
/// # Errors
/// If no mirror gives a file with this sum, with what each of them did, or if the disk refuses.
pub fn file(
    urls: &[String],
    to: &Path,
    sha256: &str,
    bytes: Option<u64>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Problem::os("make", folder, &e))?;
    if to.is_file() {
        return Ok(());
    }
    let mut part = Part::open(to)?;
    // Somebody else may have fetched it while this process waited for the lock.
    if to.is_file() {
        return part.remove();
    }
    let mut download = Download { agent: agent(), part: &mut part, sha256, bytes, progress };
    let mut failures = Vec::new();
    for url in urls {
        match download.ask(url) {
            Ok(()) => return part.publish(to),
            Err(Failure::Here(problem)) => return Err(problem),
            Err(Failure::There(what)) => failures.push(format!("{url}: {what}")),
        }
    }
    if part.length()? == 0 {
        part.remove()?;
    }
    let name = to.file_name().unwrap_or(to.as_os_str()).display();
    Err(Problem::system(format!("cannot fetch {name}: {}", failures.join("; "))).help(format!(
        "put {name} into {}, or set ABLATE_DATA to a folder that holds it",
        folder.display()
    )))
}

/// Why a file did not come.
enum Failure {
    /// This machine refused; no other mirror would help.
    Here(Problem),
    /// The network or the mirror did.
    There(String),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_global(Some(REQUEST))
        .user_agent(concat!("ablate/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// One file on its way.
struct Download<'a> {
    agent: ureq::Agent,
    part: &'a mut Part,
    sha256: &'a str,
    bytes: Option<u64>,
    progress: &'a mut dyn FnMut(u64, Option<u64>),
}

impl Download<'_> {
    /// Asks one mirror until the file is whole and right, or a request brings it no further.
    fn ask(&mut self, url: &str) -> Result<(), Failure> {
        let mut last = Failure::There(String::new());
        for _ in 0..TRIES {
            let before = self.part.length()?;
            match self.whole(url, before) {
                Ok(()) => return Ok(()),
                Err(Failure::There(what)) if self.part.length()? != before => {
                    last = Failure::There(what);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last)
    }

    /// Brings the part from `before` bytes to its end, and checks its sum.
    fn whole(&mut self, url: &str, before: u64) -> Result<(), Failure> {
        if before == 0 || self.bytes != Some(before) {
            self.request(url, before)?;
        }
        let sum = self.part.sum()?;
        if sum == self.sha256 {
            return Ok(());
        }
        self.part.cut(0)?;
        let what = format!("the SHA-256 sum is {sum}, not {}; what came was removed", self.sha256);
        Err(Failure::There(what))
    }

    /// One request for what follows the first `have` bytes.
    fn request(&mut self, url: &str, have: u64) -> Result<(), Failure> {
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request.call().map_err(|e| Failure::There(e.to_string()))?;
        let begin = match response.status().as_u16() {
            200 => 0,
            206 if begin_of_range(&response) == Some(have) => have,
            206 | 416 => {
                self.part.cut(0)?;
                let what = format!("the server has nothing that follows byte {have}");
                return Err(Failure::There(what));
            }
            status => return Err(Failure::There(format!("the server answers {status}"))),
        };
        let body = response.into_body();
        let total = body.content_length().map(|rest| begin.saturating_add(rest));
        let (bytes, unlikely) = (self.bytes, |total: &u64| *total > LARGEST);
        if let Some(total) = total.filter(|t| bytes.map_or(unlikely(t), |b| *t != b)) {
            let expected = bytes.map_or(format!("at most {LARGEST}"), |b| b.to_string());
            let what = format!("the server offers {total} bytes, {expected} are expected");
            return Err(Failure::There(what));
        }
        self.part.cut(begin)?;
        self.copy(body.into_reader(), begin, total.or(bytes))
    }

    /// Appends what a server sends to the part, which is `done` bytes long.
    fn copy(
        &mut self,
        mut body: impl Read,
        mut done: u64,
        total: Option<u64>,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = body.read(&mut buffer).map_err(|e| {
                Failure::There(format!("the connection was cut after byte {done}: {e}"))
            })?;
            if n == 0 {
                break;
            }
            done += n as u64;
            if done > total.unwrap_or(LARGEST) {
                self.part.cut(0)?;
                return Err(Failure::There("the server sends more than was expected".to_owned()));
            }
            self.part.write(&buffer[..n])?;
            (self.progress)(done, total);
        }
        match total {
            Some(total) if done < total => {
                let what = format!("the connection was cut after byte {done} of {total}");
                Err(Failure::There(what))
            }
            _ => Ok(()),
        }
    }
}

/// The first byte of the part of a file that a server sends, as in `bytes 400-999/1000`.
fn begin_of_range<B>(response: &ureq::http::Response<B>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// What has come of a file, locked against other processes.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn open(to: &Path) -> Result<Self> {
        let mut name = to.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| Problem::os("open", &path, &e))?;
        file.lock().map_err(|e| Problem::os("lock", &path, &e))?;
        Ok(Self { path, file })
    }

    fn length(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(|e| Problem::os("read", &self.path, &e))?;
        Ok(metadata.len())
    }

    /// Keeps the first `length` bytes, and writes behind them from now on.
    fn cut(&mut self, length: u64) -> Result<()> {
        let fail = |e: std::io::Error| Problem::os("write", &self.path, &e);
        self.file.set_len(length).map_err(fail)?;
        self.file.seek(SeekFrom::Start(length)).map_err(fail)?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Problem::os("write", &self.path, &e))
    }

    /// The SHA-256 sum of what is there, in small hexadecimal digits.
    fn sum(&mut self) -> Result<String> {
        let fail = |e: std::io::Error| Problem::os("read", &self.path, &e);
        let mut sum = Sha256::new();
        self.file.seek(SeekFrom::Start(0)).map_err(fail)?;
        std::io::copy(&mut self.file, &mut sum).map_err(fail)?;
        Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn publish(self, to: &Path) -> Result<()> {
        self.file.sync_all().map_err(|e| Problem::os("sync", &self.path, &e))?;
        std::fs::rename(&self.path, to).map_err(|e| Problem::os("rename", &self.path, &e))
    }

    /// Removes the part; that it is gone already is as good.
    fn remove(self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Problem::os("remove", &self.path, &e))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_of_ones_own_replaces_the_known_ones() {
        let [images, ..] = Set::Mnist.files();
        let known = addresses(Set::Mnist, &images, None);
        assert_eq!(known.len(), 2);
        assert!(known.iter().all(|url| url.ends_with("/mnist/train-images-idx3-ubyte.gz")));
        assert_eq!(
            addresses(Set::FashionMnist, &images, Some("http://localhost:1/data/")),
            ["http://localhost:1/data/FashionMNIST/train-images-idx3-ubyte.gz"]
        );
    }
}
