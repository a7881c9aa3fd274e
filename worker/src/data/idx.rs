//! The IDX files of MNIST and its kin, packed with gzip or not: reads them without trusting their
//! headers, knows the published files, and finds them in folders. Fetches nothing.

use ablate::problem::{Problem, Result};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Images of one size, a byte a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many there are.
    pub count: usize,
    /// Pixels from top to bottom.
    pub rows: usize,
    /// Pixels from left to right.
    pub columns: usize,
    /// The pixels, image by image, row by row.
    pub pixels: Vec<u8>,
}

/// What an IDX file of bytes holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes {
    /// One size for labels, three for images: count, rows, columns.
    pub shape: Vec<usize>,
    /// The bytes, the last axis fastest.
    pub data: Vec<u8>,
}

/// Reads a file of images.
///
/// # Errors
/// If the file cannot be read, holds no images, or is not as long as its header says.
pub fn images(path: &Path) -> Result<Images> {
    let Bytes { shape, data } = open(path)?;
    match shape[..] {
        [_, 0, _] | [_, _, 0] => Err(wrong(path, "holds images without pixels")),
        [count, rows, columns] => Ok(Images { count, rows, columns, pixels: data }),
        _ => Err(wrong(path, "holds labels, images are read here")
            .help("name a file such as train-images-idx3-ubyte.gz")),
    }
}

/// Reads a file of labels.
///
/// # Errors
/// If the file cannot be read, holds no labels, or is not as long as its header says.
pub fn labels(path: &Path) -> Result<Vec<u8>> {
    let Bytes { shape, data } = open(path)?;
    match shape[..] {
        [_] => Ok(data),
        _ => Err(wrong(path, "holds images, labels are read here")
            .help("name a file such as train-labels-idx1-ubyte.gz")),
    }
}

/// Reads an IDX file that lies in memory, packed or not.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with its name.
pub fn parse(bytes: &[u8]) -> Result<Bytes, String> {
    read(io::Cursor::new(bytes), bytes.len() as u64)
}

fn open(path: &Path) -> Result<Bytes> {
    let file = File::open(path).map_err(|e| Problem::os("open", path, &e))?;
    let size = file.metadata().map_err(|e| Problem::os("read", path, &e))?.len();
    read(BufReader::new(file), size).map_err(|what| {
        wrong(path, &what).help("remove the file, and fetch it again or put a whole one there")
    })
}

fn wrong(path: &Path, what: &str) -> Problem {
    Problem::new(format!("{}: {what}", path.display()))
}

/// The first bytes of what gzip packed.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// The most that a byte can unpack to in gzip's method (1032), with room for its own header.
const LARGEST_RATIO: u64 = 1100;

/// Larger arrays are refused, packed or not: 1 GiB, twenty times the images of MNIST.
const LARGEST: u64 = 1 << 30;

/// Reads a file of `size` bytes.
fn read(mut file: impl Read + Seek, size: u64) -> Result<Bytes, String> {
    let mut start = [0; 2];
    file.read_exact(&mut start).map_err(|_| "is too short to be an IDX file".to_owned())?;
    file.seek(SeekFrom::Start(0)).map_err(|e| format!("cannot be read: {e}"))?;
    if start == GZIP {
        let most = size.saturating_mul(LARGEST_RATIO);
        return read_array(GzDecoder::new(file), |needed| needed <= most);
    }
    read_array(file, |needed| needed <= size)
}

/// Reads an array; `possible` tells whether the file can hold so many bytes.
fn read_array(mut bytes: impl Read, possible: impl Fn(u64) -> bool) -> Result<Bytes, String> {
    let magic = be_u32(&mut bytes)?;
    let dimensions = match magic {
        0x801 => 1,
        0x803 => 3,
        _ => {
            return Err(format!(
                "begins with {magic:#010x}; labels do with 0x00000801, images with 0x00000803"
            ));
        }
    };
    let mut shape = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        shape.push(be_u32(&mut bytes)? as usize);
    }
    let product = |least: usize| {
        shape.iter().try_fold(1_u64, |n, size| n.checked_mul((*size).max(least) as u64))
    };
    // A size of 0 must not hide others that no memory could hold.
    let possible_shape = product(1).is_some_and(|n| n <= LARGEST);
    let numbers = product(0).filter(|_| possible_shape).ok_or_else(|| {
        format!(
            "says that it holds {shape:?} bytes; no file of this kind holds more than {LARGEST}"
        )
    })?;
    let header = 4 + 4 * dimensions as u64;
    if !possible(header + numbers) {
        return Err(format!("is shorter than its header says: {shape:?} bytes"));
    }
    let mut data = Vec::new();
    // One more byte than there should be: that there is none proves the end, and gzip's own sum.
    (&mut bytes)
        .take(numbers + 1)
        .read_to_end(&mut data)
        .map_err(|e| format!("cannot be read: {e}"))?;
    match (data.len() as u64).cmp(&numbers) {
        std::cmp::Ordering::Equal => Ok(Bytes { shape, data }),
        std::cmp::Ordering::Less => {
            Err(format!("is shorter than its header says: {shape:?} bytes"))
        }
        std::cmp::Ordering::Greater => {
            Err(format!("is longer than its header says: {shape:?} bytes"))
        }
    }
}

fn be_u32(bytes: &mut impl Read) -> Result<u32, String> {
    let mut word = [0; 4];
    bytes.read_exact(&mut word).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => "ends within its header".to_owned(),
        _ => format!("cannot be read: {e}"),
    })?;
    Ok(u32::from_be_bytes(word))
}

/// A published set of images of ten classes, 28 by 28 pixels: 60,000 to train, 10,000 to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Handwritten digits (LeCun, Cortes & Burges 1998).
    Mnist,
    /// Photographs of clothes (Xiao, Rasul & Vollgraf 2017).
    FashionMnist,
}

/// A published file, packed by gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub name: &'static str,
    /// Its SHA-256 sum, in small hexadecimal digits.
    pub sha256: &'static str,
    /// Its size, where it is known.
    pub bytes: Option<u64>,
}

const fn published(name: &'static str, bytes: Option<u64>, sha256: &'static str) -> Published {
    Published { name, sha256, bytes }
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte.gz";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte.gz";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte.gz";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte.gz";

#[rustfmt::skip]
const MNIST: [Published; 4] = [
    published(TRAIN_IMAGES, Some(9_912_422), "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    published(TRAIN_LABELS, Some(28_881), "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    published(TEST_IMAGES, Some(1_648_877), "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    published(TEST_LABELS, Some(4_542), "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
];

#[rustfmt::skip]
const FASHION_MNIST: [Published; 4] = [
    published(TRAIN_IMAGES, Some(26_421_880), "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    published(TRAIN_LABELS, Some(29_515), "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    published(TEST_IMAGES, None, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    published(TEST_LABELS, Some(5_148), "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
];

impl Set {
    /// Its files: images and labels to train, images and labels to test.
    pub fn files(self) -> [Published; 4] {
        match self {
            Self::Mnist => MNIST,
            Self::FashionMnist => FASHION_MNIST,
        }
    }

    /// Where its files can be had, best first: what stands before a file's name.
    pub fn mirrors(self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        }
    }

    /// The folder that torchvision gives it.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "FashionMNIST",
        }
    }
}

/// Finds a file of a set, packed or not, in the first folder that holds it: where torchvision puts it
/// first, because the folder itself may hold the other set's file of the same name.
pub fn locate(set: Set, file: &Published, folders: &[PathBuf]) -> Option<PathBuf> {
    let unpacked = file.name.trim_end_matches(".gz");
    let places = folders.iter().flat_map(|folder| {
        let torchvision = folder.join(set.folder()).join("raw");
        [torchvision, folder.clone()].map(|place| [place.join(unpacked), place.join(file.name)])
    });
    places.flatten().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn file(magic: u32, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let words = [&[magic], shape].concat();
        let header = words.iter().flat_map(|word| word.to_be_bytes());
        header.chain(data.iter().copied()).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn images_and_labels_are_read_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let pixels: Vec<u8> = (0..12).collect();
        let bytes = file(0x803, &[2, 3, 2], &pixels);
        for bytes in [packed(&bytes), bytes] {
            std::fs::write(&path, bytes).unwrap();
            let read = images(&path).unwrap();
            assert_eq!(read, Images { count: 2, rows: 3, columns: 2, pixels: pixels.clone() });
            assert!(
                labels(&path).unwrap_err().sentence.ends_with("holds images, labels are read here")
            );
        }
        let bytes = file(0x801, &[3], &[7, 8, 9]);
        for bytes in [packed(&bytes), bytes] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(labels(&path).unwrap(), [7, 8, 9]);
            assert!(images(&path).unwrap_err().sentence.contains("holds labels"));
        }
        for shape in [[5, 0, 3], [5, 3, 0]] {
            std::fs::write(&path, file(0x803, &shape, &[])).unwrap();
            assert!(images(&path).unwrap_err().sentence.ends_with("holds images without pixels"));
        }
    }

    #[test]
    fn damaged_and_lying_files_are_refused() {
        let whole = file(0x801, &[3], &[7, 8, 9]);
        let mut damaged = packed(&whole);
        let sum = damaged.len() - 8;
        damaged[sum] ^= 1;
        let cases = [
            (vec![], "too short"),
            (vec![0, 0, 8, 1, 0], "ends within its header"),
            (file(0x802, &[1, 1], &[0]), "begins with 0x00000802"),
            (file(0xD03, &[1, 1, 1], &[0; 4]), "begins with 0x00000d03"),
            (file(0x803, &[u32::MAX; 3], &[]), "no file of this kind"),
            (file(0x803, &[u32::MAX, u32::MAX, 0], &[]), "no file of this kind"),
            (file(0x803, &[60_000, 28, 28], &[0; 100]), "is shorter than its header says"),
            (packed(&file(0x803, &[60_000, 28, 28], &[])), "is shorter than its header says"),
            (whole[..6].to_vec(), "ends within its header"),
            (whole[..10].to_vec(), "is shorter than its header says"),
            ([&whole[..], &[0]].concat(), "is longer than its header says"),
            (packed(&[&whole[..], &[0]].concat()), "is longer than its header says"),
            (packed(&whole)[..15].to_vec(), ""),
            (damaged, "cannot be read"),
        ];
        for (bytes, what) in cases {
            let found = parse(&bytes).unwrap_err();
            assert!(found.contains(what), "{found} should say {what}");
        }
    }

    #[test]
    fn a_bomb_is_read_no_further_than_its_header_says() {
        // 64 MiB of zeros behind a header that promises three labels.
        let bomb = packed(&file(0x801, &[3], &vec![0; 64 << 20]));
        assert!(bomb.len() < 100_000);
        assert_eq!(parse(&bomb).unwrap_err(), "is longer than its header says: [3] bytes");
        // What is packed best is still believed.
        assert_eq!(
            parse(&packed(&file(0x801, &[1 << 20], &vec![0; 1 << 20]))).unwrap().shape,
            [1 << 20]
        );
    }

    #[test]
    fn no_cut_and_no_flipped_bit_is_a_panic() {
        let whole = file(0x803, &[2, 3, 2], &[5; 12]);
        for bytes in [packed(&whole), whole] {
            for cut in 0..bytes.len() {
                assert!(parse(&bytes[..cut]).is_err());
            }
            for bit in 0..8 * bytes.len() {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let _ = parse(&flipped);
            }
        }
    }

    #[test]
    fn files_are_found_where_people_keep_them() {
        let root = tempfile::tempdir().unwrap();
        let folders = [root.path().join("none"), root.path().to_owned()];
        let [images, labels, ..] = Set::Mnist.files();
        assert_eq!(locate(Set::Mnist, &images, &folders), None);
        let raw = root.path().join("MNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        std::fs::write(raw.join("train-labels-idx1-ubyte"), "").unwrap();
        assert_eq!(
            locate(Set::Mnist, &labels, &folders),
            Some(raw.join("train-labels-idx1-ubyte"))
        );
        assert_eq!(locate(Set::FashionMnist, &labels, &folders), None);
        std::fs::write(root.path().join(images.name), "").unwrap();
        assert_eq!(locate(Set::Mnist, &images, &folders), Some(root.path().join(images.name)));
        std::fs::write(raw.join(images.name), "").unwrap();
        assert_eq!(locate(Set::Mnist, &images, &folders), Some(raw.join(images.name)));
    }

    #[test]
    fn sums_are_written_as_they_are_compared() {
        for file in [Set::Mnist, Set::FashionMnist].iter().flat_map(|set| set.files()) {
            let small = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            assert!(file.sha256.len() == 64 && file.sha256.chars().all(small), "{}", file.name);
            assert!(file.name.ends_with(".gz"));
        }
    }
}
