//! Items in several files, or packed: `.npz` archives, folders of arrays, folders of images. Finds what there is
//! and in which order, and reads arrays item by item, without trusting a size that a file tells. Knows no specs.

use crate::npy::Header;
use crate::problem::{Problem, Result};
use crate::words;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Files in a folder, at most.
const MOST: usize = 5_000_000;

/// Folders within folders, at most.
const DEEPEST: usize = 8;

/// Endings of arrays.
pub const ARRAYS: [&str; 2] = ["npy", "npz"];

/// Endings of images.
pub const IMAGES: [&str; 3] = ["png", "jpg", "jpeg"];

/// The files below a folder with one of these endings, in the order of their names; hidden ones are passed over.
///
/// # Errors
/// If the folder cannot be read, or holds none, too many, or links in a circle.
pub fn tree(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = everything(folder)?;
    found.retain(|path| ends(path, endings) && !path.is_dir());
    if found.is_empty() {
        let wanted = words::alternatives(endings);
        let problem = Problem::new(format!("no file in {} ends in {wanted}", folder.display()));
        return Err(problem.help("paths are relative to the file that names them"));
    }
    found.sort();
    Ok(found)
}

/// The files of code below a folder, sorted: all but hidden ones and what Python compiles them to.
///
/// # Errors
/// As [`everything`].
pub fn code(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = everything(folder)?;
    let is_compiled =
        |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("__pycache__"));
    found.retain(|path| !path.is_dir() && !is_compiled(path));
    found.sort();
    Ok(found)
}

/// All files and folders below a folder and itself, but for hidden ones.
///
/// # Errors
/// If one cannot be read, there are too many, or links lead in a circle.
pub fn everything(folder: &Path) -> Result<Vec<PathBuf>> {
    walk(folder, false)
}

/// The same with hidden ones.
///
/// # Errors
/// As [`everything`].
pub fn everything_hidden(folder: &Path) -> Result<Vec<PathBuf>> {
    walk(folder, true)
}

fn walk(folder: &Path, hidden: bool) -> Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_owned()];
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let fail = |e: std::io::Error| Problem::os("list", &folder, &e);
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !hidden && entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                if depth == DEEPEST {
                    let what = format!("{} lies more than {DEEPEST} folders deep", path.display());
                    return Err(Problem::new(what).help("do links lead in a circle?"));
                }
                open.push((path.clone(), depth + 1));
            }
            found.push(path);
            if found.len() > MOST {
                return Err(Problem::new(format!(
                    "more than {MOST} files in {}",
                    folder.display()
                )));
            }
        }
    }
    Ok(found)
}

fn ends(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// The folder directly below `root` that each file lies in, by name; `None` if some lie in `root` itself.
pub fn classes(root: &Path, files: &[PathBuf]) -> Option<Vec<String>> {
    let class = |file: &PathBuf| {
        let mut below = file.strip_prefix(root).ok()?.components();
        let first = below.next()?.as_os_str().to_string_lossy().into_owned();
        below.next().map(|_| first)
    };
    files.iter().map(class).collect()
}

/// Arrays that hold items one after another.
#[derive(Debug)]
pub struct Parts {
    parts: Vec<Part>,
    /// `[n, h, w]` or `[n, c, h, w]` of all together.
    pub shape: Vec<usize>,
}

/// One array in a file.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Its name in an archive.
    member: Option<String>,
    header: Header,
}

impl Parts {
    /// Finds the arrays at `path`: an archive, or a folder of archives and `.npy` files; `array` names the one that is
    /// wanted of each archive.
    ///
    /// # Errors
    /// If there are none, they cannot be read, or their items are of different shapes.
    pub fn find(path: &Path, array: Option<&str>) -> Result<Self> {
        let files = if path.is_dir() { tree(path, &ARRAYS)? } else { vec![path.to_owned()] };
        let parts: Vec<Part> =
            files.iter().map(|file| Part::open(file, array)).collect::<Result<_>>()?;
        let item = parts[0].item()?;
        let mut items = 0;
        for part in &parts {
            let own = part.item()?;
            if own != item {
                let sentence = format!(
                    "{} holds items of {own:?}, {} of {item:?}",
                    part.told(),
                    parts[0].told()
                );
                return Err(Problem::new(sentence).help("all must be of one shape"));
            }
            items += part.items();
        }
        Ok(Self { parts, shape: [vec![items], item].concat() })
    }

    /// Reads the items one after another, in 64 bits; ends early if `each` says so by returning false.
    ///
    /// # Errors
    /// If a file cannot be read or has changed, or `each` fails.
    pub fn read(&self, mut each: impl FnMut(&[f64]) -> Result<bool>) -> Result<bool> {
        let numbers: usize = self.shape[1..].iter().product();
        let mut item = vec![0.0; numbers];
        for part in &self.parts {
            let fail = |e: std::io::Error| Problem::os("read", &part.path, &e);
            let mut bytes = vec![0; numbers * part.header.element.bytes()];
            let more = part.with_numbers(|stream| {
                for _ in 0..part.items() {
                    stream.read_exact(&mut bytes).map_err(fail)?;
                    let read = part.header.numbers_in(&bytes);
                    item.iter_mut().zip(read).for_each(|(to, number)| *to = number);
                    if !each(&item)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Part {
    fn open(path: &Path, array: Option<&str>) -> Result<Self> {
        let path = path.to_owned();
        if !ends(&path, &["npz"]) {
            let header = Header::read(&path)?;
            return Ok(Self { path, member: None, header });
        }
        let mut archive = archive(&path)?;
        let listed = archive.file_names().filter_map(|name| name.ok());
        let mut names: Vec<String> =
            listed.filter_map(|name| Some(name.strip_suffix(".npy")?.to_owned())).collect();
        names.sort();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let name = match (array, &names[..]) {
            (_, []) => {
                return Err(Problem::new(format!("{} holds no arrays", path.display())));
            }
            (Some(asked), names) if names.contains(&asked) => asked.to_owned(),
            (Some(asked), names) => {
                let problem = Problem::new(format!("{} has no array `{asked}`", path.display()));
                return Err(problem.help(words::suggestion(asked, names)));
            }
            (None, [only]) => (*only).to_owned(),
            (None, names) => {
                let problem = Problem::new(format!("which array of {}?", path.display()));
                let known = words::alternatives(names);
                return Err(problem.help(format!("add `array: {}`; it has {known}", names[0])));
            }
        };
        let member = format!("{name}.npy");
        let mut stream = archive.by_name(&member).map_err(|e| broken(&path, &e))?;
        let size = stream.size();
        let header = Header::read_from(&mut stream, size, &path)?;
        drop(stream);
        Ok(Self { path, member: Some(member), header })
    }

    fn told(&self) -> String {
        match &self.member {
            Some(member) => format!("{} in {}", member, self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    /// The shape of an item: an array of two axes is one, of three or four axes it holds several.
    fn item(&self) -> Result<Vec<usize>> {
        match &self.header.shape[..] {
            [h, w] => Ok(vec![*h, *w]),
            [_, item @ ..] if (2..=3).contains(&item.len()) => Ok(item.to_vec()),
            shape => {
                let problem = Problem::new(format!("{} has the shape {shape:?}", self.told()));
                Err(problem.help("[h, w], [n, h, w] or [n, c, h, w] is needed"))
            }
        }
    }

    fn items(&self) -> usize {
        if self.header.shape.len() == 2 { 1 } else { self.header.shape[0] }
    }

    /// Gives the bytes of the numbers to `read`.
    fn with_numbers<T>(&self, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let fail = |e: std::io::Error| Problem::os("read", &self.path, &e);
        let skip = |stream: &mut dyn Read| {
            std::io::copy(&mut stream.take(self.header.offset), &mut std::io::sink())
        };
        match &self.member {
            None => {
                let file = File::open(&self.path).map_err(fail)?;
                let mut stream = std::io::BufReader::new(file);
                skip(&mut stream).map_err(fail)?;
                read(&mut stream)
            }
            Some(member) => {
                let mut archive = archive(&self.path)?;
                let mut stream = archive.by_name(member).map_err(|e| broken(&self.path, &e))?;
                skip(&mut stream).map_err(fail)?;
                read(&mut stream)
            }
        }
    }
}

fn archive(path: &Path) -> Result<ZipArchive<std::io::BufReader<File>>> {
    let file = File::open(path).map_err(|e| Problem::os("open", path, &e))?;
    ZipArchive::new(std::io::BufReader::new(file)).map_err(|e| broken(path, &e))
}

fn broken(path: &Path, error: &zip::result::ZipError) -> Problem {
    Problem::new(format!("{} is no archive of arrays: {error}", path.display()))
        .help("save it with numpy.savez or numpy.savez_compressed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy;
    use std::io::Write;

    /// An archive of arrays as NumPy writes it, packed or not.
    fn npz(path: &Path, arrays: &[(&str, &Path)], packed: bool) {
        let mut out = zip::ZipWriter::new(File::create(path).unwrap());
        let how =
            if packed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        for (name, array) in arrays {
            let options = zip::write::SimpleFileOptions::default().compression_method(how);
            out.start_file(format!("{name}.npy"), options).unwrap();
            out.write_all(&std::fs::read(array).unwrap()).unwrap();
        }
        out.finish().unwrap();
    }

    fn all(parts: &Parts) -> Vec<f64> {
        let mut all = vec![];
        parts
            .read(|item| {
                all.extend(item);
                Ok(true)
            })
            .unwrap();
        all
    }

    #[test]
    fn stacks_single_maps_and_archives_follow_each_other_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("a")).unwrap();
        npy::write_f64(&at("a/1.npy"), &[2, 2, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
            .unwrap();
        npy::write_u8(&at("b.npy"), &[2, 2], &[8, 9, 10, 11]).unwrap();
        npy::write_f64(&at("c.tmp"), &[1, 2, 2], &[12.0, 13.0, 14.0, 15.0]).unwrap();
        for packed in [true, false] {
            npz(&at("c.npz"), &[("fields", &at("c.tmp"))], packed);
            let parts = Parts::find(folder.path(), None).unwrap();
            assert_eq!(parts.shape, [4, 2, 2]);
            assert_eq!(all(&parts), (0..16).map(f64::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_archive_of_several_arrays_asks_which() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        npy::write_f64(&at("x"), &[1, 2, 2], &[1.0; 4]).unwrap();
        npy::write_f64(&at("y"), &[7], &[1.0; 7]).unwrap();
        npz(&at("both.npz"), &[("maps", &at("x")), ("params", &at("y"))], true);
        let find = |array| Parts::find(&at("both.npz"), array);
        assert_eq!(find(Some("maps")).unwrap().shape, [1, 2, 2]);
        let said = |array| format!("{}", find(array).unwrap_err());
        assert!(
            said(None).contains("which array of") && said(None).contains("maps"),
            "{}",
            said(None)
        );
        assert!(said(Some("map")).contains("no array `map`"), "{}", said(Some("map")));
        assert!(said(Some("params")).contains("shape [7]"), "{}", said(Some("params")));
        std::fs::write(at("bad.npz"), b"PK not really").unwrap();
        let said = Parts::find(&at("bad.npz"), None).unwrap_err().to_string();
        assert!(said.contains("is no archive"), "{said}");
    }

    #[test]
    fn a_header_that_promises_more_than_there_is_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        npy::write_f64(&at("x"), &[1, 2, 2], &[1.0; 4]).unwrap();
        let text = std::fs::read(at("x")).unwrap();
        let lies = String::from_utf8_lossy(&text[10..]).replace("(1, 2, 2)", "(9, 9, 9)");
        std::fs::write(at("x"), [&text[..10], lies.as_bytes()].concat()).unwrap();
        npz(&at("lies.npz"), &[("maps", &at("x"))], true);
        let said = Parts::find(&at("lies.npz"), None).unwrap_err().to_string();
        assert!(said.contains("shorter than its header says"), "{said}");
    }

    #[test]
    fn folders_are_classes_if_all_files_lie_in_some() {
        let root = Path::new("/r");
        let files = |names: &[&str]| names.iter().map(|n| root.join(n)).collect::<Vec<_>>();
        assert_eq!(classes(root, &files(&["a/1.png", "b/c/2.png"])).unwrap(), ["a", "b"]);
        assert_eq!(classes(root, &files(&["a/1.png", "2.png"])), None);
    }
}
